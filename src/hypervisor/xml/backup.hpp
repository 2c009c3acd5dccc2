// SPDX-License-Identifier: MIT
#pragma once
/// A frozen view of a running domain's disk (libvirt: a backup in pull mode), and the checkpoint made with
/// it: rendered from our types.

#include <string>

namespace blockhost {

/// What begin_backup makes. All names and paths are the caller's choice.
struct BackupSpec {
    std::string disk;   ///< the target of the one disk that takes part: "vda"
    std::string socket; ///< where QEMU serves it; in a folder that QEMU's user can write
    std::string
        scratch; ///< the file that keeps what the guest overwrites meanwhile; made, and removed at the end
    std::string checkpoint; ///< made at the frozen moment: from then on writes are recorded under this name
    std::string since = {}; ///< an earlier checkpoint, whose record of writes is served too; empty: none
};

/// Where a frozen disk is read: by NBD at a socket, whose export has the disk's name, or, in the simulated
/// world, as a file.
struct FrozenExport {
    std::string socket = {}, file = {};
    std::string bitmap = {}; ///< the served record of writes; empty: none
};

/// The bitmap's name behind the socket.
std::string export_bitmap(const BackupSpec& spec);
std::string render_backup(const BackupSpec& spec);
std::string render_checkpoint(const BackupSpec& spec);
/// The socket in the description of a backup under way; empty: it has none. Throws Error{hypervisor} when it
/// cannot be parsed.
std::string backup_socket(const std::string& xml);

/// libvirt's description of a checkpoint, without the one that it followed: that is deleted, and nothing of
/// it is needed. Throws likewise.
std::string without_parent(const std::string& checkpoint_xml);

} // namespace blockhost
