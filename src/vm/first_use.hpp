// SPDX-License-Identifier: MIT
#pragma once
/// Tells a host that was never used from one whose state folder is missing.

#include "config/paths.hpp"
#include "hypervisor/hypervisor.hpp"

namespace blockhost {

/// Called before an instance id is made. Throws Error{config} when a domain's metadata names this state
/// folder: there was an id before.
void require_first_use(Observer& observer, const Paths& paths);

} // namespace blockhost
