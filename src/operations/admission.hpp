// SPDX-License-Identifier: MIT
#pragma once
/// Asks whether the host has room for one more VM, before anything is allocated.

#include "vm/context.hpp"

namespace blockhost::operations {

/// Refuses a VM with more CPUs or memory than the host itself has. Throws Error{invalid}.
void check_host_bounds(World& world, const VmRequest& request);

/// Throws Error{no_room}, with the figures, when the memory of this instance's VMs and of the new one exceeds
/// (host less 1 GiB) x memory_overcommit, or when the disk exceeds the pool's free room x disk_overcommit.
/// Creates under way count too. The caller holds the journal's admission lock, unless nothing will be made.
void check_room(World& world, const VmRequest& request);

} // namespace blockhost::operations
