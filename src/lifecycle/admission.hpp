#pragma once
/// Whether the host has room for one more VM, asked before anything is allocated.

#include "lifecycle/world.hpp"

namespace blockhost {

/// Refuses what is beyond this host's own figures: CPUs, memory. Throws Error{invalid}.
void check_host_bounds(World& world, const VmRequest& request);

/// Refuses, with the figures, when our VMs' memory and this one's exceed (host less 1 GiB) x
/// memory_overcommit, or the pool's free room x disk_overcommit is less than the disk. Creates under way
/// count. Throws Error{no_room}. The caller holds the journal's admission lock, unless nothing will be made.
void check_room(World& world, const VmRequest& request);

} // namespace blockhost
