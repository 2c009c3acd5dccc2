// SPDX-License-Identifier: MIT
#pragma once
/// Destroying a VM: rolls forward, whatever happens, and touches only what is provably this instance's.

#include "operations/operation.hpp"
#include "vm/steps.hpp"

namespace blockhost::operations {

/// Removes the VM with its disk and releases its addresses. Succeeds without doing anything when the VM is
/// absent or destroyed.
void destroy(World& world, const VmName& name);

/// Destroys the VM of `entry` if it is overdue by `grace_days` (expiry.hpp). Returns false, and the VM stays,
/// when it is not overdue or is extended before its domain is gone.
bool destroy_overdue(World& world, JournalEntry& entry, std::int64_t grace_days);

extern const OperationRow destroy_operation;

} // namespace blockhost::operations
