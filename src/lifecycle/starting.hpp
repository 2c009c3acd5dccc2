#pragma once
/// What start, resume and boot share: the way from a domain that is off or paused to one that runs.

#include "lifecycle/world.hpp"

namespace blockhost {

/// Sets the routes and neighbour entries of a VM with a record: they do not outlive a reboot of the host.
/// Warns of what could not be set.
void place_routes(World& world, const Observation& seen);

/// Has the bridge filter all that a running VM with a record sends (host::Network::guard_port). Warns of what
/// could not be done.
void guard_port(World& world, const Observation& seen);

/// Makes those of our filters again that the domain names: it cannot start while one is missing.
void ensure_filters(World& world, const Observation& seen);

/// Starts (and guards its port) or unpauses the domain as its state wants; a running one is left as it is.
void bring_up(World& world, const Observation& seen);

/// Marks by which boot knows that an admin wants a VM off. All may be repeated.
void keep_off(World& world, const VmName& name);
void keep_off_no_more(World& world, const VmName& name);
/// Removes what a keep_off that failed or died has left beside the note. The caller holds the VM's entry.
void forget_half_kept_off(World& world, const VmName& name);
bool is_kept_off(const World& world, const VmName& name);

} // namespace blockhost
