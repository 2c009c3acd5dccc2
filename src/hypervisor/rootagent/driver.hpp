// SPDX-License-Identifier: MIT
#pragma once
/// A hypervisor for processes that libvirt lets look but not change: looks go through `looks`, changes and
/// the guests' agents through the root agent, whose actions are carried out by this same program as root
/// (rootside/actions.hpp).
///
/// Pools and filters are not asked for by themselves: the other side makes those that a disk or a definition
/// needs. Transient domains, and removing pools and filters, are Error{denied}: nothing but a test or root's
/// own work needs them.

#include "config/paths.hpp"
#include "hypervisor/hypervisor.hpp"

#include <memory>

namespace blockhost {

std::unique_ptr<Hypervisor> through_root_agent(std::unique_ptr<Hypervisor> looks, Paths paths);

} // namespace blockhost
