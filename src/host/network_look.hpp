// SPDX-License-Identifier: MIT
#pragma once
/// The kernel's state that keeps VMs apart, and how it differs from what was set: a bridge that was made
/// again, a tap that was moved, tables that were flushed.

#include "host/placement.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::host {

/// The tables, read once for any number of VMs.
struct NetworkLook {
    struct Neighbour {
        std::string interface, mac;
    };
    std::map<std::string, Neighbour> neighbours; ///< permanent entries, by address
    std::map<std::string, std::string> routes;   ///< the interface, by single IPv6 address
    std::optional<std::string> rules;            ///< ebtables' listing of its nat table; nothing: unknown
};
/// The kernel's tables. A table that cannot be read is unknown or empty: `rules` needs root, the others `ip`.
NetworkLook kernel_look();

/// The bridge's port to a running VM, as libvirt made it.
struct Port {
    std::string tap;       ///< empty: no tap that can be looked at
    bool isolated = false; ///< whether it must be isolated
    bool filtered = false; ///< whether a network filter is bound to it
};

/// A difference from what was set.
enum class Gap {
    bridge_gone,
    bridge_down,
    tap_gone,
    tap_elsewhere,
    not_isolated,
    lets_frames_pass_by, ///< frames to reserved addresses bypass every filter (Network::guard_port)
    not_filtered,
    neighbour,
    route,
};
/// Begins with a lower-case letter and names the interface or address: "the bridge br0 is down".
std::string words_of(Gap gap, const Placement& placement, const Port& port);

/// Compares entries in the tables only.
std::vector<Gap> gaps_in_tables(const NetworkLook& look, const Placement& placement);
/// Compares interfaces and tables. A missing bridge hides all other gaps, a missing tap those of its port.
std::vector<Gap> kernel_gaps(const NetworkLook& look, const Placement& placement, const Port& port);
/// Whether the listing has rules for what comes from that tap, with a drop in them.
bool rules_guard(const std::string& listing, const std::string& tap);

/// Whether the interface is set up (IFF_UP).
bool is_up(const std::string& interface);

} // namespace blockhost::host
