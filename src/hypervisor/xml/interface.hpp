// SPDX-License-Identifier: MIT
#pragma once
/// A domain's network interfaces in its definition: what guards them, and the same with what is missing.

#include "model/address.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pugi {
class xml_node;
}

namespace blockhost {

/// One of BlockHost's network filters, and what it pins an interface to (render_filter).
struct InterfaceFilter {
    std::string name;
    Mac mac;
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
};
/// Adds the reference to an interface's element.
void add_filterref(pugi::xml_node interface, const InterfaceFilter& filter);

/// The interfaces on `bridge` in a definition that are not isolated, and the one with the filter's MAC when
/// it has no filter: each as a whole element that has what it lacked. What says isolated='no', or names
/// another filter, was told so, and stays. Throws Error{hypervisor} when the definition cannot be parsed.
std::vector<std::string> interfaces_to_guard(const std::string& xml, const std::string& bridge,
                                             const std::optional<InterfaceFilter>& filter);

/// The interface with that MAC as it runs.
struct RunningInterface {
    std::string tap;       ///< the host's end of it; empty: none
    bool isolated = false; ///< as it was defined
    std::string filter;    ///< the network filter's name; empty: none
};
/// Nothing when there is none. Throws as interfaces_to_guard.
std::optional<RunningInterface> running_interface(const std::string& xml, const Mac& mac);

/// The interface with that MAC as a whole element, with its link up. Throws Error{hypervisor} when there is
/// none, and as interfaces_to_guard.
std::string interface_with_link_up(const std::string& xml, const Mac& mac);

/// A running interface's network filter and the tap that it watches, as libvirt binds them at a start.
struct FilterBinding {
    std::string domain, uuid;
    std::string tap, mac;
    std::string filter;                                          ///< the network filter's name
    std::vector<std::pair<std::string, std::string>> parameters; ///< its variables
};
/// That of the interface with that MAC, in what a domain runs with. Throws as with_interface.
FilterBinding filter_binding(const std::string& xml, const Mac& mac);
std::string render_binding(const FilterBinding& binding);

/// The definition with that element for its interface of the same MAC. Throws Error{hypervisor} when it has
/// none.
std::string with_interface(const std::string& xml, const std::string& interface);

} // namespace blockhost
