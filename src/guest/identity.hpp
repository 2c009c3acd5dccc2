// SPDX-License-Identifier: MIT
#pragma once
/// The identity of a guest that was copied from another one.

#include "guest/exec.hpp"

namespace blockhost::guest {

/// Gives the guest a machine-id of its own (machine-id(5)) and new SSH host keys, and has its SSH server read
/// them. Repeating it harms nothing but makes new ones again. Throws Error{guest} with the guest's own words.
void renew_identity(const AgentCall& call, std::chrono::milliseconds span, const Waiting& waiting = {});

} // namespace blockhost::guest
