// SPDX-License-Identifier: MIT
// The part of IANA's special-purpose registries that matters to address pools.
#include "model/assignable.hpp"

#include <array>

namespace blockhost {

namespace {

struct Special {
    std::string_view network, why;
};

constexpr std::array<Special, 5> special4{{
    {"0.0.0.0/8", "holds addresses of no machine (0.0.0.0/8)"},
    {"127.0.0.0/8", "holds loopback addresses"},
    {"169.254.0.0/16", "holds link-local addresses"},
    {"224.0.0.0/4", "holds multicast addresses"},
    {"240.0.0.0/4", "holds reserved addresses (240.0.0.0/4)"},
}};

constexpr std::array<Special, 4> special6{{
    {"fe80::/10", "holds link-local addresses"},
    {"ff00::/8", "holds multicast addresses"},
    {"::/128", "is no network of machines"},
    {"::1/128", "holds the loopback address"},
}};

bool overlap(const Ipv4Network& one, const Ipv4Network& other) {
    return one.contains(other.network()) || other.contains(one.network());
}

} // namespace

std::optional<std::string_view> why_not_for_machines(const Ipv4Network& network) {
    for (const Special& each : special4)
        if (overlap(network, *Ipv4Network::try_parse(each.network))) return each.why;
    return std::nullopt;
}

std::optional<std::string_view> why_not_for_machines(const Ipv6Prefix& prefix) {
    const auto lies_in = [&](std::string_view wider) {
        const auto whole = *Ipv6Prefix::try_parse(wider);
        return prefix.length() >= whole.length() && whole.contains(prefix.network());
    };
    if (lies_in("2000::/3") || lies_in("fc00::/7")) return std::nullopt;
    for (const Special& each : special6)
        if (lies_in(each.network)) return each.why;
    return "is neither global unicast (2000::/3) nor unique local (fc00::/7)";
}

} // namespace blockhost
