// SPDX-License-Identifier: MIT
#pragma once
/// Lines of fstab(5). This program's own carry the option "x-blockhost-libvirt", which mount(8) leaves to
/// whom it concerns; all others stay as they are, to the byte.

#include "platform/proxmox/privileged/arguments.hpp"

#include <vector>

namespace blockhost::platform::proxmox::privileged {

struct FstabLine {
    std::string uuid;        ///< of "UUID=…"; empty where the source is named otherwise
    std::string mount_point; ///< without a slash at its end
    bool is_ours = false;
};
/// In order; comments and lines without a mount point are none.
std::vector<FstabLine> lines_of_fstab(std::string_view text);

/// `text` with a line of ours at its end.
std::string with_disk(std::string_view text, const FilesystemUuid& disk, const MountPoint& point);
/// `text` without our lines for that disk and mount point.
std::string without_disk(std::string_view text, const FilesystemUuid& disk, const MountPoint& point);

} // namespace blockhost::platform::proxmox::privileged
