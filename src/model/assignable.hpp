// SPDX-License-Identifier: MIT
#pragma once
/// Which addresses a VM may have.

#include "model/address.hpp"

#include <optional>
#include <string_view>

namespace blockhost {

/// Why some or all of the network's addresses may not be given to a machine (IANA's special-purpose
/// registries): "holds loopback addresses", "holds multicast addresses"; nothing when all may.
std::optional<std::string_view> why_not_for_machines(const Ipv4Network& network);
/// Machines get only global unicast (2000::/3) and unique local addresses (fc00::/7).
std::optional<std::string_view> why_not_for_machines(const Ipv6Prefix& prefix);

} // namespace blockhost
