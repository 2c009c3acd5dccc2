// SPDX-License-Identifier: MIT
#pragma once
/// Backing up a VM: its disk, as chunks, and what it takes to make the VM anew. A VM that is off is not
/// changed, and cannot be started while its disk is read. Of one that runs or is paused the disk is frozen
/// (live_disk.hpp); it runs on meanwhile, with one checkpoint more, in the place of the one that its last
/// backup left.

#include "backup/manifest.hpp"
#include "backup/repositories/repository.hpp"
#include "backup/settings.hpp"
#include "operations/operation.hpp"

namespace blockhost::operations {

/// What one backup came to.
struct BackupEnd {
    std::string snapshot;                         ///< its id
    std::uint64_t disk_bytes = 0, data_bytes = 0; ///< of the disks; of their chunks that have data
    std::uint64_t stored_bytes = 0;               ///< new in the repository
    std::uint64_t chunks = 0, chunks_read = 0;
    backup::Consistency consistency = backup::Consistency::off;
    std::optional<std::chrono::milliseconds> frozen = {}; ///< for how long the guest's file systems were
};

/// Called as the reading goes on.
using BackupProgress = std::function<void(const backup::Progressed&)>;

/// Backs up the VM. `repository` and `settings` are this host's own repository, which the caller has looked
/// at. A backup that fails or is interrupted leaves nothing that counts as one: an incomplete snapshot is
/// forgotten at once, or left out by whoever compares it with its manifest; the guest writes and runs on, and
/// nothing of the backup is left with it. Throws Error{no_room} when what the guest overwrites meanwhile
/// finds no room.
BackupEnd back_up(World& world, const VmName& name, const backup::Repository& repository,
                  const backup::Settings& settings, const Interruption& interruption,
                  const BackupProgress& progress);

/// After a death undone, or, when it was remembered already, ended.
extern const OperationRow backup_operation;

} // namespace blockhost::operations
