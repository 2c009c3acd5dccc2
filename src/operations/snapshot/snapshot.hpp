// SPDX-License-Identifier: MIT
#pragma once
/// Undo snapshots of one VM's own disk (vm/undo_snapshot.hpp): taken in a moment, then undone or kept. A
/// snapshot has the disk alone, as after a loss of power, and no memory.

#include "operations/operation.hpp"
#include "vm/undo_snapshot.hpp"

#include <chrono>

namespace blockhost::operations {

inline constexpr std::chrono::seconds usual_undo_span = std::chrono::hours(24);
inline constexpr std::chrono::seconds longest_undo_span = std::chrono::hours(24 * 30);

/// Takes one that ends after `span`; a VM that runs goes on running. A tenth of the disk's size must be free.
/// Rolls back after a death, unless the disk was switched already: then it is whole. Throws
/// Error{exists} when the VM has one; Error{wrong_state} for a disk that no create of this instance made, for
/// several disks, and while something else is done with the disk; Error{no_room}.
UndoSnapshot take_snapshot(World& world, const VmName& name, std::chrono::seconds span);

/// How an undo left the VM.
enum class Undone { off, running };
/// Brings the disk back to what it was: forces the VM off, throws away what was written since, and starts
/// the VM again if it ran. Rolls forward after a death. Throws Error{not_found} when the VM has none, and
/// Error{wrong_state} for one that is half kept.
Undone undo_snapshot(World& world, const VmName& name);

/// Makes what was written since a part of the disk, whether the VM runs or not. Rolls forward after a death;
/// interrupted, it is half kept, and a repeat goes on. Throws Error{not_found} when the VM has none.
void keep_snapshot(World& world, const VmName& name, const Interruption& interruption);

/// The same for the holder of the VM's entry, if the snapshot's time is over by now; false when it has none,
/// or one whose time is not over.
bool keep_due_snapshot(World& world, JournalEntry& entry);

extern const OperationRow snapshot_take_operation, snapshot_undo_operation, snapshot_keep_operation;

} // namespace blockhost::operations
