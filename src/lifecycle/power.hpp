#pragma once
/// start, stop and kill: single wishes. A dead one is closed as abandoned, never carried out later.

#include "lifecycle/world.hpp"

namespace blockhost {

/// Whether a verb found something to do.
enum class Outcome { done, nothing_to_do };

Outcome start(World& world, const VmName& name);
/// The same for boot: nothing, and nothing done, when an admin wants it off. A mark on a VM that runs is an
/// old one, and goes.
std::optional<Outcome> start_unless_kept_off(World& world, const VmName& name);
/// Asks the guest to shut down and waits for up to `patience`; both ends are success.
enum class Stopped { off, still_running, was_off };
Stopped stop(World& world, const VmName& name, std::chrono::seconds patience = std::chrono::seconds(30));
Outcome kill(World& world, const VmName& name);

} // namespace blockhost
