// SPDX-License-Identifier: MIT
#pragma once
/// Undo snapshots: this program's overlay on a VM's own disk, with an end. What was before lies untouched in
/// the file below it. Its name says everything of it, so that nothing else has to agree with the disk. A VM
/// has one at most.

#include "vm/observation.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// What an overlay's file name says: "<name>.<operation>.undo-<taken>-<until>", in seconds since 1970.
/// disk_name (disk_chain.hpp) reads it as a layer on the VM's disk.
struct UndoName {
    VmName vm;
    OperationId operation; ///< that took it
    Instant taken, until;
};
std::string file_name(const UndoName& name);
/// `file` may be outside text.
std::optional<UndoName> undo_name(std::string_view file);

struct UndoSnapshot {
    std::string target; ///< the disk: "vda"
    std::string file;   ///< the overlay's name in the storage folder
    Instant taken, until;
    /// A commit of it was begun: what was before is gone from the file below, so that it can only be kept.
    bool half_kept = false;
};
/// That of the VM, by its definition; nothing when its disk is no undo snapshot of this instance. Throws
/// Error{wrong_state} when another program's layer stands on one.
std::optional<UndoSnapshot> undo_snapshot_of(const World& world, const Observation& seen);

/// The file in the storage folder that an overlay there stands on. Throws Error{wrong_state} unless it is
/// provably the VM's; as backing_chain for an overlay that cannot be read.
std::string layer_below(const World& world, const VmName& name, const std::string& overlay);

/// Notes that a commit of this overlay begins, durably once this returns. All may be repeated.
void note_half_kept(const World& world, const VmName& name, const std::string& overlay);
void forget_half_kept(const World& world, const VmName& name);
bool is_half_kept(const World& world, const VmName& name, const std::string& overlay);

} // namespace blockhost
