// SPDX-License-Identifier: MIT
#pragma once
/// The host's network interfaces and their addresses.

#include "model/address.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::host {

/// An address of the host and its network's prefix length.
struct HostAddress {
    Ipv4 address;
    int prefix_length = 32;
    Ipv4Network network() const { return {address, prefix_length}; }
    std::string str() const { return address.str() + "/" + std::to_string(prefix_length); }
};

/// The IPv4 addresses of each interface that has any, by interface name. One query for all interfaces. Throws
/// Error{io}.
std::map<std::string, std::vector<HostAddress>> kernel_addresses();
/// The first address that is neither loopback nor link-local.
std::optional<HostAddress> first_global(const std::vector<HostAddress>& addresses);

struct Interface {
    std::string name;
    bool bridge = false;
    bool up = true; ///< IFF_UP
    std::vector<HostAddress> addresses = {};
    std::optional<Ipv4> gateway = {}; ///< of the default route through it
    std::size_t ports = 0;            ///< of a bridge: the number of interfaces connected to it

    std::optional<HostAddress> global() const { return first_global(addresses); }
};

/// The kernel's interfaces, sorted by name; looks at each of them. Throws Error{io}.
std::vector<Interface> kernel_interfaces();
/// All IPv6 addresses of the host. Throws Error{io}.
std::vector<Ipv6> kernel_addresses6();

/// The interfaces of the simulated world: `<world>/interfaces.json`, an object of NAME: {"bridge", "up",
/// "addresses", "gateway", "ports"}; without that file, br0 with 192.168.1.5/24.
std::vector<Interface> simulated_interfaces(const std::filesystem::path& world);

} // namespace blockhost::host
