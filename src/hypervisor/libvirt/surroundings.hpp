// SPDX-License-Identifier: MIT
#pragma once
/// libvirt's networks, and a pool's autostart. All throw Failed; they run on the connection's worker.

#include "hypervisor/views.hpp"

#include <libvirt/libvirt.h>
#include <string>
#include <vector>

namespace blockhost::libvirt::surroundings {

std::vector<LibvirtNetwork> networks(virConnectPtr connection);
void retire_network(virConnectPtr connection, const std::string& name);
bool pool_is_settled(virConnectPtr connection, const std::string& name);

} // namespace blockhost::libvirt::surroundings
