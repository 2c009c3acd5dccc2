#pragma once
/// Destroying a VM: rolls forward, whatever happens; only ever touches what is provably ours.

#include "lifecycle/steps.hpp"
#include "lifecycle/world.hpp"

namespace blockhost {

/// Removes the VM with its disk and releases its addresses. Absent or destroyed: nothing to do, success.
void destroy(World& world, const VmName& name);

/// Destroys `entry`'s VM if it is overdue with `grace_days` (expiry.hpp). False, and nothing is touched, when
/// it is not, or is extended before its domain is gone.
bool destroy_overdue(World& world, JournalEntry& entry, std::int64_t grace_days);

/// Goes on with a destroy whose process died or failed.
void roll_destroy_forward(World& world, JournalEntry& entry, const EntryView& left);

} // namespace blockhost
