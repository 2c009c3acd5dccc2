#pragma once
/// The actions that we add to the root agent (docs/contract.md, "Root agent"): what a process of the
/// blockhost user may have done as root where libvirt and the kernel refuse it.
///
/// Parameters, journal, VM database and our folders are the blockhost user's text here. Nothing is done to a
/// domain that is not provably ours; a definition is taken only when our own renderer makes exactly that text
/// of what it says, with paths, pool, bridge, filter and addresses as our configuration (root's) has them;
/// and files that QEMU or virtlogd will open are ones that nobody has planted.

#include "lifecycle/world.hpp"

#include <boost/json/object.hpp>
#include <string_view>

namespace blockhost {

/// Carries out one action; returns the members of its reply beside "ok" (what a guest's
/// program wrote as it wrote it, UTF-8 or not). No action waits for a guest but
/// virsh-guest-exec: the agent carries out one at a time. Throws Error{invalid} for parameters it does not
/// take, an unknown action or step; Error{foreign}, {not_found}; whatever the hypervisor throws.
boost::json::object carry_out(World& world, std::string_view action, const boost::json::object& parameters);

} // namespace blockhost
