// SPDX-License-Identifier: MIT
/// Starts a transient domain, and pings its guest agent.

#include "vm/trial.hpp"

#include "base/error.hpp"
#include "base/exceptions.hpp"
#include "base/text/text.hpp"
#include "guest/agent.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

constexpr int agent_seconds = 3;
constexpr auto event_period = 200ms;
constexpr auto look_again_after = 3s; ///< without an event
constexpr std::size_t evidence_lines = 5, console_max = 16 << 20;

std::string console_tail(const Folder& bench) {
    const auto lines = text::last_lines(bench.read(trial_console, console_max).value_or(""), evidence_lines);
    return lines.empty() ? "its console showed nothing"
                         : "its console's last lines: " + text::join(lines, " | ");
}

} // namespace

Trial::Trial(Hypervisor& hypervisor, const TrialSpec& spec, const Folder& bench, Progress& progress,
             std::function<void()> check)
    : hypervisor_(hypervisor), bench_(bench), progress_(progress), check_(std::move(check)),
      name_(spec.name) {
    hypervisor_.watch(name_);
    hypervisor_.start_transient(spec);
}

Trial::~Trial() {
    try {
        hypervisor_.power_off(name_);
    } catch (const std::exception& error) {
        progress_.warn("the domain " + name_ +
                       " of the trial could not be stopped: " + as_error(error).what());
    }
}

void Trial::await_agent(std::chrono::seconds limit) {
    const Deadline deadline = Deadline::in(limit);
    while (!agent_answers()) {
        if (deadline.passed()) fail(fmt::format("its guest agent did not answer within {} s", limit.count()));
        pause(deadline);
    }
}

bool Trial::agent_answers() {
    try {
        return guest::ping([this](const std::string& command) { return agent(command, agent_seconds); });
    } catch (const Error& error) {
        if (error.code() == Code::guest || error.code() == Code::wrong_state) return false;
        throw;
    }
}

void Trial::pause(const Deadline& deadline) {
    const Deadline end = Deadline::in(look_again_after).sooner(deadline);
    while (!end.passed()) {
        check_();
        const Wake wake = hypervisor_.wait(std::min<std::chrono::milliseconds>(end.left(), event_period));
        if (wake == Wake::agent_connected) return;
        if (wake != Wake::lifecycle) continue;
        const auto state = hypervisor_.state(name_);
        if (!state || !is_alive(*state)) fail("the guest stopped by itself");
    }
}

void Trial::fail(const std::string& what) const {
    throw Error(Code::guest, what + "; " + console_tail(bench_));
}

void end_lost_trials(Hypervisor& hypervisor, std::string_view prefix, const Folder& bench,
                     Progress& progress) {
    for (const DomainState& each : hypervisor.states()) {
        if (!each.name.starts_with(prefix) || !is_alive(each.state)) continue;
        const auto view = hypervisor.find(each.name);
        if (!view) continue;
        const auto disks = read_domain(view->xml).disks;
        if (std::ranges::find(disks, (bench.path() / trial_disk).string()) == disks.end()) continue;
        progress.warn("ending " + each.name + ", a trial that outlived its caller and libvirt's daemon");
        hypervisor.power_off(each.name);
    }
}

} // namespace blockhost
