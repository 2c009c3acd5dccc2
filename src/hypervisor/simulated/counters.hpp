// SPDX-License-Identifier: MIT
#pragma once
/// The figures of a simulated domain: they grow with the time since its start, as its behaviour says.

#include "hypervisor/common/stats.hpp"
#include "hypervisor/simulated/store.hpp"

namespace blockhost::simulated {

/// `xml`: its definition. A domain that is paused counts on; one that is off has its state alone.
DomainStats stats_of(const std::string& name, const DomainFile& domain, const std::string& xml,
                     const Behaviour& behaviour);

} // namespace blockhost::simulated
