// SPDX-License-Identifier: MIT
#pragma once
/// Restoring the disk of a VM that is there: the disk of before is kept aside for a while, and the restore
/// can be undone as an undo snapshot is (operations/snapshot/snapshot.hpp).

#include "backup/extract.hpp"
#include "operations/operation.hpp"

namespace blockhost::operations {

struct InPlaceRequest {
    std::chrono::seconds undoable; ///< how long the disk of before is kept
    bool stay_off = false;         ///< also at boot
    std::chrono::seconds ready_timeout{180};
};

struct InPlaceResult {
    VmName name;
    Instant until;
    bool on_template = true; ///< the disk is an overlay
    bool runs = false;
    bool guest_answers = false; ///< in time
};

/// Makes a disk of the backup beside the VM's, which goes on meanwhile; then forces the VM off, gives it
/// that disk, and starts it again if it ran. All else of the VM stays as it is. Rolls back after a death,
/// unless the VM has the new disk already: then it is whole. A guest that does not answer in time is warned
/// of.
///
/// Throws Error{wrong_state} for a VM that has another uuid than the backup's, or several disks, or saved
/// memory; Error{exists} when it has an undo snapshot; Error{no_room}; Error{invalid} for a backup that no
/// disk can be made of.
InPlaceResult restore_in_place(World& world, const backup::Repository& repository,
                               const backup::Backup& backup, const InPlaceRequest& request);

extern const OperationRow restore_in_place_operation;

} // namespace blockhost::operations
