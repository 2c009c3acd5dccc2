// SPDX-License-Identifier: MIT
#pragma once
/// A domain that is started once, to see whether a disk boots. It has no network, and ends with this process.

#include "base/files/files.hpp"
#include "base/progress.hpp"
#include "hypervisor/hypervisor.hpp"
#include "hypervisor/xml/domain.hpp"

#include <chrono>
#include <functional>

namespace blockhost {

/// The files of a trial in its bench, a folder that nobody else works in.
inline constexpr const char* trial_disk = "trial.qcow2";
inline constexpr const char* trial_console = "trial.log";

/// Ends in every case: by libvirt when this process is killed, by end_lost_trials when libvirtd died.
class Trial {
  public:
    /// Starts the domain. `spec` has its disk and console in `bench`. `check` is called at least every 200 ms
    /// of a wait, and may throw.
    Trial(Hypervisor& hypervisor, const TrialSpec& spec, const Folder& bench, Progress& progress,
          std::function<void()> check);
    ~Trial();
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    /// Throws Error{guest} with the console's last lines when the agent does not answer in time, or the guest
    /// stops before that.
    void await_agent(std::chrono::seconds limit);
    /// One command of its agent's, as Observer::agent.
    std::string agent(const std::string& command, int seconds) {
        return hypervisor_.agent(name_, command, seconds);
    }

  private:
    bool agent_answers();
    void pause(const Deadline& deadline);
    [[noreturn]] void fail(const std::string& what) const;

    Hypervisor& hypervisor_;
    const Folder& bench_;
    Progress& progress_;
    std::function<void()> check_;
    std::string name_;
};

/// Ends trials on `bench`, of names with that prefix, that nobody waits for: libvirt ends a trial with its
/// caller's connection, but not when libvirtd itself dies. The caller holds `bench`, so that none of its
/// trials is under way.
void end_lost_trials(Hypervisor& hypervisor, std::string_view prefix, const Folder& bench,
                     Progress& progress);

} // namespace blockhost
