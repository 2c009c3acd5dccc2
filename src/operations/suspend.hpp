// SPDX-License-Identifier: MIT
#pragma once
/// Suspending a VM whose time is over: it is off, stays off, and is marked suspended. Rolls forward after a
/// death, but only while the VM is still expired: an extension in between wins.

#include "operations/operation.hpp"
#include "vm/steps.hpp"

namespace blockhost::operations {

enum class Suspension {
    done,
    already_off, ///< it was suspended and off: nothing was done
    extended,    ///< it was extended or resumed meanwhile, and runs if it ran before
};

/// Suspends the VM of `entry` if it is expired, or makes sure that a suspended one is off. Asks the guest to
/// shut down, forces it off after `patience`, and marks the VM only once it is seen off. Throws what the
/// verdict table refuses.
Suspension suspend_expired(World& world, JournalEntry& entry, std::chrono::seconds patience);

/// Rolls forward, or takes the suspension back when the VM was extended since.
extern const OperationRow suspend_operation;

} // namespace blockhost::operations
