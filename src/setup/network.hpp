// SPDX-License-Identifier: MIT
#pragma once
/// The step of setup that finds the VMs' bridge, and stops libvirt's own network.

#include "setup/site.hpp"

namespace blockhost::setup {

/// The network that libvirt comes with; setup stops it.
inline constexpr const char* libvirts_network = "default";

struct Bridge {
    std::string name;
    host::HostAddress address;
};
/// The VMs' bridge: the one given; else the one that the host's first boot made; else db.yaml's, if it
/// exists; else the first that has a global IPv4 address and that libvirt did not make for itself. Throws
/// FieldError of field "bridge".
Bridge find_bridge(const Site& site, const std::vector<host::Interface>& interfaces,
                   const std::vector<LibvirtNetwork>& networks, const std::optional<std::string>& given);

struct NetworkDone {
    bool changed = false;
    Bridge bridge;
};
/// Makes libvirt's network `default` neither run nor come up with libvirtd.
NetworkDone settle_network(const Site& site, const std::optional<std::string>& bridge);

} // namespace blockhost::setup
