// SPDX-License-Identifier: MIT
#pragma once
/// Undo snapshots: what a VM's disk was before lies untouched in a file, until an end. Either this program's
/// overlay stands on it, whose name says everything, so that nothing else has to agree with the disk; or
/// another disk took its place. A VM has one at most.

#include "vm/observation.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// A disk that another one took the place of. Which it is stands in `<state>/replaced/NAME.json`; a note that
/// is lost leaves a file that goes with the VM.
struct ReplacedDisk {
    std::string file; ///< in the storage folder
    std::string by;   ///< the disk in its place
    Instant taken, until;
};

/// Written durably before the disk is replaced; it means nothing until then.
void note_replaced_disk(const World& world, const VmName& name, const ReplacedDisk& disk);
/// May be repeated.
void forget_replaced_disk(const World& world, const VmName& name);
/// What the note says, where both files are there and have names of the VM's disks. Whether the disk in its
/// place is the VM's is for the definition to say. Throws Error{invalid} for a note that cannot be read.
std::optional<ReplacedDisk> replaced_disk(const World& world, const VmName& name);
/// The VMs that have a note, whatever it says.
std::vector<VmName> vms_with_replaced_disks(const World& world);

struct UndoSnapshot {
    std::string target; ///< the disk: "vda"
    std::string file;   ///< the overlay, or the disk in place of the other, in the storage folder
    Instant taken, until;
    std::string replaced = {}; ///< the disk that was replaced; empty: `file` is an overlay
    /// A commit of it was begun: what was before is gone from the file below, so that it can only be kept.
    bool half_kept = false;
};
/// That of the VM, by its definition; nothing when its disk is no undo snapshot of this instance. Throws
/// Error{wrong_state} when another program's layer stands on an overlay; as replaced_disk.
std::optional<UndoSnapshot> undo_snapshot_of(const World& world, const Observation& seen);

/// The file in the storage folder that an overlay there stands on. Throws Error{wrong_state} unless it is
/// provably the VM's; as backing_chain for an overlay that cannot be read.
std::string layer_below(const World& world, const VmName& name, const std::string& overlay);

/// Notes that a commit of this overlay begins, durably once this returns. All may be repeated.
void note_half_kept(const World& world, const VmName& name, const std::string& overlay);
void forget_half_kept(const World& world, const VmName& name);
bool is_half_kept(const World& world, const VmName& name, const std::string& overlay);

} // namespace blockhost
