// SPDX-License-Identifier: MIT
#pragma once
/// start, stop and kill: single wishes. A dead one is closed as abandoned and never carried out later.

#include "operations/operation.hpp"

namespace blockhost::operations {

/// Whether a verb found something to do.
enum class Outcome { done, nothing_to_do };

Outcome start(World& world, const VmName& name);
/// The same for boot: does nothing, and returns nothing, when an admin wants the VM off. On a VM that runs,
/// such a mark is out of date, and is removed.
std::optional<Outcome> start_unless_kept_off(World& world, const VmName& name);
/// Asks the guest to shut down and waits for up to `patience`; off and still running are both success.
enum class Stopped { off, still_running, was_off };
Stopped stop(World& world, const VmName& name, std::chrono::seconds patience = std::chrono::seconds(30));
Outcome kill(World& world, const VmName& name);

extern const OperationRow start_operation;
extern const OperationRow stop_operation;
extern const OperationRow kill_operation;

} // namespace blockhost::operations
