// SPDX-License-Identifier: MIT
#pragma once
/// Freezing and thawing a guest's file systems. Until it is thawed the guest writes nothing, and the agent
/// does nothing else.

#include "guest/agent_call.hpp"

#include <cstdint>

namespace blockhost::guest {

/// How many file systems the agent froze. Throws Error{guest} when nobody answers or the agent refuses; one
/// that was silent may freeze them all the same.
std::int64_t freeze(const AgentCall& call);
/// Thaws what is frozen; harmless when nothing is. Throws Error{guest}.
void thaw(const AgentCall& call);

} // namespace blockhost::guest
