// SPDX-License-Identifier: MIT
/// Starts a transient domain, and pings its guest agent.

#include "image/trial.hpp"

#include "base/error.hpp"
#include "base/exceptions.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "guest/agent.hpp"
#include "host/capability.hpp"
#include "hypervisor/xml/domain.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view domain_prefix = "blockhost-template-trial-";
constexpr const char* disk_name = "trial.qcow2";
constexpr const char* console_name = "trial.log";
constexpr int agent_seconds = 3;
constexpr auto event_period = 200ms;
constexpr auto look_again_after = 3s; ///< without an event
constexpr std::size_t evidence_lines = 5, console_max = 16 << 20;

std::string console_tail(const Folder& bench) {
    const auto lines = text::last_lines(bench.read(console_name, console_max).value_or(""), evidence_lines);
    return lines.empty() ? "its console showed nothing"
                         : "its console's last lines: " + text::join(lines, " | ");
}

/// Ends in every case: by libvirt when this process is killed, by the next build when libvirtd died.
class Trial {
  public:
    Trial(const Run& run, Hypervisor& hypervisor, const Folder& bench, const TrialSpec& spec)
        : run_(run), hypervisor_(hypervisor), bench_(bench), name_(spec.name) {
        hypervisor_.watch(name_);
        hypervisor_.start_transient(spec);
    }
    ~Trial() {
        try {
            hypervisor_.power_off(name_);
        } catch (const std::exception& error) {
            run_.progress.warn("the domain " + name_ +
                               " of the trial could not be stopped: " + as_error(error).what());
        }
    }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    void await_agent(std::chrono::seconds limit) {
        const Deadline deadline = Deadline::in(limit);
        while (!agent_answers()) {
            if (deadline.passed())
                fail(fmt::format("its guest agent did not answer within {} s", limit.count()));
            pause(deadline);
        }
    }

  private:
    bool agent_answers() {
        try {
            return guest::ping([this](const std::string& command) {
                return hypervisor_.agent(name_, command, agent_seconds);
            });
        } catch (const Error& error) {
            if (error.code() == Code::guest || error.code() == Code::wrong_state) return false;
            throw;
        }
    }

    void pause(const Deadline& deadline) {
        const Deadline end = Deadline::in(look_again_after).sooner(deadline);
        while (!end.passed()) {
            run_.check();
            const Wake wake = hypervisor_.wait(std::min<std::chrono::milliseconds>(end.left(), event_period));
            if (wake == Wake::agent_connected) return;
            if (wake != Wake::lifecycle) continue;
            const auto state = hypervisor_.state(name_);
            if (!state || !is_alive(*state)) fail("the guest stopped by itself");
        }
    }

    [[noreturn]] void fail(const std::string& what) {
        throw Error(Code::guest, "the image does not boot: " + what + "; " + console_tail(bench_),
                    "the current template stays; mend the image, or build without --verify-boot");
    }

    const Run& run_;
    Hypervisor& hypervisor_;
    const Folder& bench_;
    std::string name_;
};

bool wants_kvm(DomainType type) {
    return type == DomainType::kvm || (type == DomainType::automatic && host::kvm_works());
}

} // namespace

void end_lost_trials(Hypervisor& hypervisor, const Folder& bench, Progress& progress) {
    for (const DomainState& each : hypervisor.states()) {
        if (!each.name.starts_with(domain_prefix) || !is_alive(each.state)) continue;
        const auto view = hypervisor.find(each.name);
        if (!view) continue;
        const auto disks = read_domain(view->xml).disks;
        if (std::ranges::find(disks, (bench.path() / disk_name).string()) == disks.end()) continue;
        progress.warn("ending " + each.name + ", a trial that outlived its build and libvirt's daemon");
        hypervisor.power_off(each.name);
    }
}

void boot_once(const Run& run, Hypervisor& hypervisor, const Folder& bench,
               const std::filesystem::path& image, const TrialSettings& settings) {
    const bool kvm = wants_kvm(settings.domain_type);
    run.progress.stage("booting the image once");
    end_lost_trials(hypervisor, bench, run.progress);
    for (const char* name : {disk_name, console_name}) bench.remove(name);
    perform(run,
            {.tool = qemu_img,
             .arguments = {"create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.string(), disk_name},
             .limit = 60s,
             .doing = "make the trial's disk",
             .folder = bench.path()});
    bench.open_file(console_name, O_WRONLY | O_CREAT, 0640);
    const TrialSpec spec{.name = std::string(domain_prefix) + random_hex(8),
                         .uuid = Uuid::random(),
                         .kvm = kvm,
                         .disk_path = (bench.path() / disk_name).string(),
                         .console_path = (bench.path() / console_name).string(),
                         .kernel = settings.boot_kernel,
                         .initrd = settings.boot_initrd,
                         .kernel_arguments = settings.boot_arguments};
    {
        Trial trial(run, hypervisor, bench, spec);
        trial.await_agent(kvm ? 180s : 600s);
    }
    for (const char* name : {disk_name, console_name}) bench.remove(name);
}

} // namespace blockhost::image
