#pragma once
/// When a new guest is ready: its agent answers and cloud-init is done (docs/contract.md, "create").

#include "base/interrupt.hpp"
#include "lifecycle/world.hpp"

#include <chrono>

namespace blockhost {

/// Waits for both within `limit`. Returns normally when ready, and, with a loud warning, when the agent
/// answers but cloud-init is still at work at the end. Throws Error{guest}, naming the stage and showing the
/// domain's state and the last console lines, when the guest dies, the agent never answers, or cloud-init is
/// disabled or failed. Hypervisor::watch must have been called for the domain before it was started.
void await_ready(World& world, const VmName& name, const std::filesystem::path& console,
                 std::chrono::seconds limit, const Interruption& interruption);

/// The last `lines` lines of a console log made printable, one string each; empty when there is none.
std::vector<std::string> console_tail(const std::filesystem::path& console, std::size_t lines);

} // namespace blockhost
