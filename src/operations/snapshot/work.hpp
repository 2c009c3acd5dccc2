// SPDX-License-Identifier: MIT
#pragma once
/// What taking, undoing and keeping a snapshot share.

#include "operations/snapshot/snapshot.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <string>

namespace blockhost::operations {

struct SnapshotWork {
    World& world;
    VmName name;
    std::string uuid;   ///< of the domain
    std::string target; ///< "vda"
    /// File names in the storage folder: the disk as it is, and as it was before.
    std::string overlay, lower;
    bool is_replaced = false; ///< `overlay` does not stand on `lower`, and took its place

    const std::string& vm() const { return name.str(); }
    Hypervisor& hypervisor() const { return world.hypervisor(); }
    std::filesystem::path path_of(const std::string& file) const { return world.storage / file; }
};

/// Throws Error{exists} when the VM has a snapshot; Error{wrong_state} while its memory is saved; as
/// require_nothing_planted.
void require_snapshot_is_possible(World& world, const Observation& seen);
/// For a snapshot that is to be made, with the VM's own one disk as the lower file. Throws
/// Error{wrong_state} for other disks, and while libvirt is at work on it.
SnapshotWork work_for(World& world, const Observation& seen, const std::string& overlay);

/// The VM's snapshot. Throws Error{not_found} when it has none.
SnapshotWork work_on(World& world, const Observation& seen);

/// What a journal entry says, and what of it is outside text is proved: nothing when it is not about the VM
/// as it is now, or names files that are not its own.
boost::json::object to_json(const SnapshotWork& work);
std::optional<SnapshotWork> work_left(World& world, const Observation& seen, const EntryView& left);

/// Throws Error{wrong_state} for a VM that is off with its memory saved: that memory knows its disk.
void require_not_saved(World& world, const Observation& seen);

/// Which sides of a domain have a file as the disk.
struct DiskSides {
    bool defined = false;
    bool elsewhere = false; ///< what runs, or was saved
    bool any() const { return defined || elsewhere; }
};
DiskSides sides_with(const SnapshotWork& work, const std::string& file);

/// Whether the VM has the overlay, after a failure or a death. What runs decides: a definition that differs
/// from it is set right.
bool has_overlay(const SnapshotWork& work);

/// Forces the domain off, if it has `file` as its disk: otherwise it was done before.
void power_off_with(const SnapshotWork& work, const std::string& file);
/// Starts what ran before, guarded; false, with a warning, for a VM that may not run any more.
bool start_again(const SnapshotWork& work);
/// The same after a failure: what goes wrong is a warning, too.
void start_after_failure(const SnapshotWork& work);

/// Has the definition name that file, and looks whether it does.
void define_disk(const SnapshotWork& work, const std::string& file);
/// Has the definition of a VM that is off name that file. Throws Error{wrong_state} when it was started
/// meanwhile.
void switch_disk(const SnapshotWork& work, const std::string& file, std::string_view during);
/// Deletes the disk as it is, or as it was before, which no domain may have any more; forgets the snapshot.
void delete_overlay(const SnapshotWork& work);
void delete_lower(const SnapshotWork& work);

} // namespace blockhost::operations
