// SPDX-License-Identifier: MIT
#pragma once
/// Backing up a VM that is off: its disk, as chunks, and what it takes to make the VM anew. The VM is not
/// changed; while its disk is read it cannot be started.

#include "backup/restic.hpp"
#include "backup/settings.hpp"
#include "operations/operation.hpp"

namespace blockhost::operations {

/// What one backup came to.
struct BackupEnd {
    std::string snapshot;                         ///< its id
    std::uint64_t disk_bytes = 0, data_bytes = 0; ///< of the disks; of their chunks that have data
    std::uint64_t stored_bytes = 0;               ///< new in the repository
    std::uint64_t chunks = 0, chunks_read = 0;
};

/// Called as the reading goes on.
using BackupProgress = std::function<void(const backup::Progressed&)>;

/// Backs up the VM. `restic` and `settings` are this host's own repository, which the caller has looked at. A
/// backup that fails or is interrupted leaves nothing that counts as one: an incomplete snapshot is forgotten
/// at once, or left out by whoever compares it with its manifest. Throws Error{wrong_state} for a VM that is
/// not off.
BackupEnd back_up(World& world, const VmName& name, const backup::Restic& restic,
                  const backup::Settings& settings, const Interruption& interruption,
                  const BackupProgress& progress);

/// Closed after a death: nothing was changed, and nothing is carried out later.
extern const OperationRow backup_operation;

} // namespace blockhost::operations
