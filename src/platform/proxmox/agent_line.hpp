// SPDX-License-Identifier: MIT
#pragma once
/// The guest agent of a VM on a node, spoken to by the node's API.

#include "guest/agent_call.hpp"
#include "platform/proxmox/node.hpp"

namespace blockhost::platform::proxmox {

/// Takes the agent's own messages (QEMU docs/interop/qemu-ga-ref), of which a node passes on guest-ping,
/// guest-exec with arguments and captured output, and guest-exec-status. A node that refuses throws Refused;
/// one that does not answer Error{no_answer}: for guest-exec that means that nobody knows whether the program
/// runs. The permit is that of the action which this serves. `client` and `permit` must outlive it.
guest::AgentCall agent_line(Client& client, const Permit& permit, std::string node, const GuestRef& guest);

} // namespace blockhost::platform::proxmox
