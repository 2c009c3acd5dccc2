#pragma once
/// Suspending a VM whose time is over: it is off, stays off, and is marked so. Rolls forward after a death,
/// but only while it is still expired: whoever extends it meanwhile wins.

#include "lifecycle/steps.hpp"
#include "lifecycle/world.hpp"

namespace blockhost {

enum class Suspension {
    done,
    already_off, ///< it was suspended and off: nothing was done
    extended,    ///< it was extended or resumed meanwhile, and runs if it ran before
};

/// Suspends `entry`'s VM if it is expired (or makes sure that a suspended one is off). Throws what the
/// verdict table refuses. Asks the guest to shut down and forces it off after `patience`; marks it only once
/// it is seen off.
Suspension suspend_expired(World& world, JournalEntry& entry, std::chrono::seconds patience);

/// Goes on with a suspension whose process died, or takes it back where the VM was extended since.
void roll_suspend_forward(World& world, JournalEntry& entry, const EntryView& left);

} // namespace blockhost
