// SPDX-License-Identifier: MIT
#pragma once
/// The actions that this provisioner adds to the root agent (docs/contract.md, "Root agent"): what a process
/// of the blockhost user may have done as root, since libvirt and the kernel refuse it to that user.
///
/// Parameters, journal, VM database and BlockHost's folders are the blockhost user's text here. Nothing is
/// done to a domain that is not provably this instance's. A definition is taken only when our own renderer
/// makes exactly that text of what it says, with paths, pool, bridge, filter and addresses as root's
/// configuration has them. Files that QEMU or virtlogd will open must not be planted.

#include "vm/context.hpp"

#include <boost/json/object.hpp>
#include <string_view>

namespace blockhost::root {

/// When the caller gives up, as its request says; nothing when the request does not say.
std::optional<Deadline> end_of(const boost::json::object& parameters);

/// Carries out one action; returns the members of its reply besides "ok" (a guest program's output as it was
/// written, UTF-8 or not). Only virsh-guest-exec waits for a guest: the root agent carries out one action at
/// a time. Throws Error{invalid} for parameters that the action does not take, an unknown action or step;
/// Error{foreign}, {not_found}; and the hypervisor's errors.
boost::json::object carry_out(World& world, std::string_view action, const boost::json::object& parameters);

} // namespace blockhost::root
