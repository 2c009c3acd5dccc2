// SPDX-License-Identifier: MIT
#pragma once
/// Asks whether the host has room for one more VM, before anything is allocated.

#include "vm/context.hpp"

namespace blockhost::operations {

/// What a VM asks for: as a whole, or, of the disk, what it asks for beyond what it has.
struct Claimed {
    VmName name;
    std::int64_t cpus = 0, memory_mib = 0, disk_gib = 0; ///< 0: nothing is asked of that kind
    std::uint64_t written_bytes = 0;                     ///< of the disk, at once
};
Claimed claimed_by(const VmRequest& request);

/// Refuses a VM with more CPUs or memory than the host itself has. Throws Error{invalid}.
void check_host_bounds(World& world, const Claimed& request);

/// Throws Error{no_room}, with the figures, when the memory of this instance's VMs and of the new one exceeds
/// (host less 1 GiB) x memory_overcommit, or when the disk exceeds the pool's free room x disk_overcommit, or
/// what is written at once exceeds that room.
/// Creates and configures under way count too. The caller holds the journal's admission lock, unless nothing
/// will be made.
void check_room(World& world, const Claimed& request);

} // namespace blockhost::operations
