// SPDX-License-Identifier: MIT
#pragma once
/// What the log of a backup's task tells while it grows (pve-manager, src/PVE/VZDump.pm; qemu-server,
/// src/PVE/VZDump/QemuServer.pm; pve-container, src/PVE/VZDump/LXC.pm).

#include "platform/backups.hpp"
#include "platform/proxmox/refusal.hpp"

namespace blockhost::platform::proxmox {

struct DumpLog {
    bool is_queued = false; ///< it waits for the node's one lock of backups, and has not begun
    BackupCourse course;
    bool operator==(const DumpLog&) const = default;
};

/// Reads the lines that there are so far, of a task that backs up one guest; of several, the last that was
/// begun. What a line says that is not known is passed over.
DumpLog read_dump_log(const std::vector<std::string>& lines);

/// Why a guest was not saved; nothing: the lines do not tell. That the place ran full stands in other lines
/// than the failure.
std::optional<Refusal> refusal_of_dump(const std::vector<std::string>& lines);

} // namespace blockhost::platform::proxmox
