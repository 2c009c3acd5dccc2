// SPDX-License-Identifier: MIT
#pragma once
/// systemd's pending jobs in the guest, which a silent cloud-init waits for.

#include "guest/exec.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::guest {

struct BootJobs {
    bool of_cloud_init = false;       ///< a stage of cloud-init has yet to run
    std::vector<std::string> at_work; ///< other units that are starting now, which it waits for
};

/// Reads the output of `systemctl list-jobs --no-legend`.
BootJobs read_boot_jobs(std::string_view list);

/// Asks systemctl in the guest. Nothing when the guest has no systemd, or its agent runs no programs. Throws
/// Error{guest} when the guest does not answer in time.
std::optional<BootJobs> boot_jobs(const AgentCall& call, const Waiting& waiting);

} // namespace blockhost::guest
