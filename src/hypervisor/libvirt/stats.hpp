// SPDX-License-Identifier: MIT
#pragma once
/// Figures of domains in one bulk call. Throws Failed; runs on the connection's worker.

#include "hypervisor/views.hpp"

#include <libvirt/libvirt.h>
#include <string>
#include <vector>

namespace blockhost::libvirt::figures {

std::vector<DomainStats> stats(virConnectPtr connection, const std::vector<std::string>& names);

} // namespace blockhost::libvirt::figures
