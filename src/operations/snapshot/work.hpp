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
    std::string uuid;           ///< of the domain
    std::string target;         ///< "vda"
    std::string overlay, lower; ///< file names in the storage folder

    const std::string& vm() const { return name.str(); }
    Hypervisor& hypervisor() const { return world.hypervisor(); }
    std::filesystem::path path_of(const std::string& file) const { return world.storage / file; }
};

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

/// Has the definition name that file, and looks whether it does.
void define_disk(const SnapshotWork& work, const std::string& file);
/// Deletes the overlay, which no domain may have any more.
void delete_overlay(const SnapshotWork& work);

} // namespace blockhost::operations
