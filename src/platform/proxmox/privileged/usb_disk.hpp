// SPDX-License-Identifier: MIT
#pragma once
/// The second fenced command: a USB disk that is mounted now and after each start of the node, or no longer.

#include "platform/permit.hpp"
#include "platform/proxmox/privileged/arguments.hpp"
#include "platform/proxmox/privileged/fence.hpp"

namespace blockhost::platform::proxmox::privileged {

class UsbDisk {
  public:
    explicit UsbDisk(LocalNode node) : fence_(std::move(node)) {}

    /// Mounts the file system that is the permit's target, and writes its line of /etc/fstab. What is done
    /// already is left as it is, so a call that was cut off can be repeated. Throws, with nothing changed,
    /// Error{internal} for a permit to do something else, Error{invalid} as FilesystemUuid and MountPoint do,
    /// as Fence says, and: Error{not_found} when no such disk is plugged in; Error{wrong_state} when it is no
    /// USB disk, is mounted elsewhere, or the mount point is in use; Error{foreign} for a line of somebody
    /// else's about either; Error{exists} for a line of ours that pairs one of them otherwise; Error{busy}
    /// while another process edits fstab.
    void mount(const Permit& permit) const;

    /// Unmounts it, and removes our line. Nothing happens when neither is there. Throws as mount does; while
    /// files are open on it, Error{program} with nothing changed.
    void unmount(const Permit& permit) const;

    struct State {
        bool is_mounted = false; ///< that disk, there
        bool has_line = false;   ///< ours, for that disk and mount point
        bool operator==(const State&) const = default;
    };
    /// How it stands. Needs no rights. Throws Error{wrong_state} on another machine than the node.
    State look(const FilesystemUuid& disk, const MountPoint& point) const;

  private:
    /// Mounts that device, and not another one whose file system has the same UUID.
    void mount_now(const std::string& device, const MountPoint& point) const;

    Fence fence_;
};

} // namespace blockhost::platform::proxmox::privileged
