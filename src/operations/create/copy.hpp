// SPDX-License-Identifier: MIT
#pragma once
/// A new VM whose disk is the double of another's becomes a guest of its own.

#include "base/interrupt.hpp"
#include "vm/context.hpp"

#include <chrono>

namespace blockhost::operations {

/// Waits for up to `limit` until the agent answers, has it make a machine-id and SSH host keys, and then
/// gives the interface, whose link is down, its link. Throws Error{guest} when the agent does not answer or
/// refuses: the link stays down then.
void renew_copy(World& world, const VmName& name, const Mac& mac, std::chrono::seconds limit,
                const Interruption& interruption);

/// Gives the guest the VM's name: user-data is that of the VM that it was, and may have set that one's. Warns
/// where it cannot.
void rename_copy(World& world, const VmName& name, const Interruption& interruption);

} // namespace blockhost::operations
