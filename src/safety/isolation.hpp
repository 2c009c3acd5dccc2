// SPDX-License-Identifier: MIT
#pragma once
/// Guards keep VMs apart: an isolated port on the bridge, a network filter that pins a VM to its addresses, a
/// port that lets no frame bypass the filter, and the host's own entries for the VM's addresses. This file
/// knows which guards a VM needs, compares them with what is set, and mends them. Guards that were set at a
/// start are lost when a bridge is made again or a table is flushed, and VMs of the 0.2.0 provisioner come
/// with none.

#include "vm/observation.hpp"

#include <string>
#include <vector>

namespace blockhost::safety {

/// Sets the routes and neighbour entries of a VM with a record, which a reboot of the host removes. Warns of
/// what could not be set.
void place_routes(World& world, const Observation& seen);

/// Called before a domain that is off starts. Writes missing guards into its definition, and makes the
/// network filters of this instance that it names again, without which it cannot start. Warns of the guards
/// that its interface goes without.
void guard_definition(World& world, const Observation& seen);

/// Mends the guards of a running domain. Warns of what could not be mended.
void guard_running(World& world, const Observation& seen);

/// Gives the interface on side `which` its missing guards. Returns a sentence for each thing that failed.
std::vector<std::string> guard_interfaces(World& world, const Observation& seen, TuningOf which);

/// The guards that a running VM with a record lacks, a clause each ("its port vnet3 is not isolated"); empty
/// for a VM that is off. Only root is told of missing filter rules. `look` is world.network's current one.
std::vector<std::string> missing_guards(World& world, const Observation& seen, const host::NetworkLook& look);

struct Mending {
    std::vector<std::string> mended;   ///< what was missing and is set now
    std::vector<std::string> problems; ///< what is still missing, with the reason where it is known
};
/// Mends the guards of a running VM, and looks again. A process that is not root asks the root agent. Throws
/// when libvirt cannot be asked.
Mending mend_guards(World& world, const Observation& seen);

/// Gives the interface with that MAC its link to the network, in what runs and in the definition. Throws
/// Error{hypervisor} when the domain is not there, or has no such interface.
void plug_in(World& world, const VmName& name, const Mac& mac);

} // namespace blockhost::safety
