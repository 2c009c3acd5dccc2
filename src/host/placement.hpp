// SPDX-License-Identifier: MIT
#pragma once
/// A VM's place in the host's network.

#include "model/address.hpp"

#include <optional>
#include <string>

namespace blockhost::host {

/// One VM's place on the bridge.
struct Placement {
    std::string bridge;
    Mac mac;
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
};

} // namespace blockhost::host
