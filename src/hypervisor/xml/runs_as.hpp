// SPDX-License-Identifier: MIT
#pragma once
/// As whom a domain's QEMU runs.

#include <optional>
#include <string>
#include <sys/types.h>

namespace blockhost {

struct RunsAs {
    uid_t uid = 0;
    gid_t gid = 0;
};
/// Read from what a domain runs with; nothing where libvirt does not tell it in numbers. Throws
/// Error{hypervisor} when it cannot be parsed.
std::optional<RunsAs> runs_as(const std::string& xml);

} // namespace blockhost
