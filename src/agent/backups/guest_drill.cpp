// SPDX-License-Identifier: MIT
#include "agent/backups/guest_drill.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "platform/proxmox/guest_config.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::agent {

using execution::Operation;
using execution::State;
using platform::Power;
using platform::Target;

namespace {

using Clock = std::chrono::steady_clock;

std::int64_t seconds_since(Clock::time_point began) {
    return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began).count();
}

/// Whether a failure tells of the backup, and not of the node or of who asks.
bool is_of_the_backup(const Error& error) {
    return error.code() == Code::hypervisor || error.code() == Code::guest || error.code() == Code::io ||
           error.code() == Code::wrong_state;
}

/// A network device's text with its link down.
std::string unplugged(const std::string& device) {
    std::vector<std::string> parts = text::split(device, ',');
    std::erase_if(parts, [](const std::string& part) { return part.starts_with("link_down="); });
    parts.emplace_back("link_down=1");
    return text::join(parts, ",");
}

class Drill {
  public:
    Drill(Engine& engine, const DrillWish& wish, const StepTalk& talk)
        : engine_(engine), wish_(wish), talk_(talk) {}

    backup::LastDrill run() {
        const auto& keeper = wish_.backup;
        verdict_ = {.snapshot = keeper.id,
                    .taken_at = Instant(std::chrono::seconds(keeper.made)),
                    .at = {},
                    .passed = false};
        try {
            verdict_.reason = trial();
        } catch (...) {
            try {
                remove();
            } catch (const Error&) { // the next drill removes it
            }
            throw;
        }
        remove();
        verdict_.passed = verdict_.reason.empty();
        verdict_.at = now();
        return verdict_;
    }

  private:
    /// Why it did not come up; empty: it did.
    std::string trial() {
        if (std::string why = did("cannot be restored", [&] { make(); }); !why.empty()) return why;
        if (std::string why = did("does not start", [&] { start(); }); !why.empty()) return why;
        const auto began = Clock::now();
        std::string why = wait_for_guest();
        verdict_.boot_s = seconds_since(began);
        return why;
    }

    std::string did(const std::string& what, const std::function<void()>& act) {
        try {
            act();
            return "";
        } catch (const Error& error) {
            if (!is_of_the_backup(error)) throw;
            return "it " + what + ": " + text::printable(error.message(), 500);
        }
    }

    void make() {
        auto& keeper = require_keeper(engine_.platform());
        platform::GuestConfig config;
        config.name = "drill-" + wish_.backup.guest;
        config.tags = {std::string(drill_tag)};
        for (const auto& [key, device] : keeper.config_in(wish_.backup).details)
            if (platform::proxmox::is_network_device(key)) config.details.emplace(key, unplugged(device));
        talk_.stage("restoring " + text::printable(wish_.backup.id) +
                    " to a scratch guest without a network");
        const auto began = Clock::now();
        const Operation made = step({}, platform::Create{.source = wish_.backup.id, .config = config});
        verdict_.restore_s = seconds_since(began);
        scratch_ = made.made;
        const auto guest = engine_.platform().guest(scratch_.guest);
        if (!guest || !guest->config)
            throw Error(Code::wrong_state, "the guest that it makes cannot be read");
        for (const auto& [key, device] : guest->config->details)
            if (platform::proxmox::is_network_device(key) && device.find("link_down=1") == device.npos)
                throw Error(Code::internal, "the scratch guest " + scratch_.guest + " has a link on " + key,
                            "it was not started");
    }

    void start() {
        talk_.stage("starting the scratch guest " + scratch_.guest);
        step(scratch_, platform::Start{});
    }

    std::string wait_for_guest() {
        talk_.stage("waiting for the scratch guest " + scratch_.guest);
        constexpr std::chrono::milliseconds between(1000);
        const Deadline boots = Deadline::in(wish_.boot_timeout), runs = Deadline::in(wish_.must_run);
        while (true) {
            const auto guest = engine_.platform().guest(scratch_.guest);
            if (!guest || guest->incarnation != scratch_.incarnation) return "its guest is gone";
            if (guest->power != Power::running)
                return "its guest went off again: it is " + std::string(to_string(guest->power));
            const auto answers = engine_.platform().agent_answers(*guest);
            if (answers == true) return "";
            if (!answers && runs.passed()) return "";
            if (answers == false && boots.passed())
                return fmt::format("its agent did not answer within {} s", wish_.boot_timeout.count());
            pause_for(between, talk_.check);
        }
    }

    void remove() {
        if (scratch_.guest.empty()) return;
        talk_.stage("removing the scratch guest " + scratch_.guest);
        step(scratch_, platform::Destroy{}, [] {});
    }

    Operation step(const Target& target, platform::Action action) {
        return step(target, std::move(action), talk_.check);
    }
    Operation step(const Target& target, platform::Action action, const std::function<void()>& check) {
        return carry_out_step(engine_,
                              {.source = {execution::Source::Kind::drill, wish_.backup.guest},
                               .target = target,
                               .action = std::move(action)},
                              check);
    }

    Engine& engine_;
    const DrillWish& wish_;
    const StepTalk& talk_;
    Target scratch_;
    backup::LastDrill verdict_;
};

} // namespace

std::vector<platform::GuestId> clear_drills(Engine& engine, const StepTalk& talk) {
    constexpr std::size_t most = 1000;
    std::vector<platform::GuestId> removed;
    for (const Operation& each : engine.journal().latest(most)) {
        if (each.source.kind != execution::Source::Kind::drill || !execution::makes_guest(each.action) ||
            each.state != State::done || each.made.incarnation.empty())
            continue;
        const auto left = engine.platform().guest(each.made.guest);
        if (!left || left->incarnation != each.made.incarnation) continue;
        talk.stage("removing guest " + left->id + ", which an earlier drill left");
        carry_out_step(engine,
                       {.source = {execution::Source::Kind::drill, "left"},
                        .target = each.made,
                        .action = platform::Destroy{}},
                       talk.check);
        removed.push_back(left->id);
    }
    return removed;
}

backup::LastDrill drill_guest(Engine& engine, const DrillWish& wish, const StepTalk& talk) {
    if (wish.backup.guest.empty())
        throw Error(Code::invalid, text::printable(wish.backup.id) + " is no backup of a guest",
                    "'blockhost-libvirt backup list' shows those that are");
    return Drill(engine, wish, talk).run();
}

} // namespace blockhost::agent
