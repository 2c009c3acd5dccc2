// SPDX-License-Identifier: MIT
/// See network.hpp.

#include "setup/network.hpp"

#include "base/text/text.hpp"
#include "config/db_yaml.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::setup {

namespace fs = std::filesystem;

namespace {

const host::Interface* named(const std::vector<host::Interface>& interfaces, const std::string& name) {
    const auto found = std::ranges::find(interfaces, name, &host::Interface::name);
    return found == interfaces.end() ? nullptr : &*found;
}

bool is_libvirts_own(const std::string& bridge, const std::vector<LibvirtNetwork>& networks) {
    return std::ranges::any_of(networks, [&](const LibvirtNetwork& network) {
        return makes_its_bridge(network) && bridge_of(network) == bridge;
    });
}

/// `where` says who named the bridge.
Bridge checked_bridge(const std::vector<host::Interface>& interfaces,
                      const std::vector<LibvirtNetwork>& networks, const std::string& name,
                      const std::string& where) {
    if (!is_bridge_name(name))
        refuse("bridge",
               fmt::format("{} is not the name of a bridge: '{}'", where, text::printable(name, 80)),
               "at most 15 characters, such as br0");
    const host::Interface* found = named(interfaces, name);
    if (!found)
        refuse("bridge", fmt::format("{} names {}, which is not an interface of this host", where, name),
               "'ip link show type bridge' lists the bridges", Code::not_found);
    if (!found->bridge)
        refuse("bridge", fmt::format("{} names {}, which is an interface, but not a bridge", where, name),
               "make a bridge and put that interface into it");
    if (!found->up)
        refuse("bridge", fmt::format("{} names {}, which is down", where, name),
               fmt::format("ip link set {} up", name), Code::wrong_state);
    for (const LibvirtNetwork& network : networks)
        if (network.name == libvirts_network && makes_its_bridge(network) && bridge_of(network) == name)
            refuse("bridge",
                   fmt::format("{} names {}, which belongs to libvirt's network {} and goes with it", where,
                               name, network.name),
                   "VMs need a bridge of the host's own, such as br0");
    const auto address = found->global();
    if (!address)
        refuse("bridge", fmt::format("{} names {}, which has no IPv4 address", where, name),
               fmt::format("give it one: ip addr add ADDRESS/LENGTH dev {}", name), Code::wrong_state);
    return {name, *address};
}

std::optional<std::string> bridge_in_db_yaml(const Site& site) {
    const auto text = site.db_text();
    if (!text || !db_yaml_gives(*text, site.paths, "bridge")) return std::nullopt;
    return parse_db_config(*text, site.paths).bridge;
}

} // namespace

Bridge find_bridge(const Site& site, const std::vector<host::Interface>& interfaces,
                   const std::vector<LibvirtNetwork>& networks, const std::optional<std::string>& given) {
    if (given) return checked_bridge(interfaces, networks, *given, "--bridge");
    const fs::path made = site.paths.run / "bridge";
    if (const auto line = files::read(made, 4096); line && !text::trim(*line).empty())
        return checked_bridge(interfaces, networks, std::string(text::trim(*line)), made.string());
    if (const auto named_there = bridge_in_db_yaml(site); named_there && named(interfaces, *named_there))
        return checked_bridge(interfaces, networks, *named_there, site.db_yaml().string());
    for (const host::Interface& each : interfaces)
        if (each.bridge && each.up && each.global() && !is_libvirts_own(each.name, networks))
            return {each.name, *each.global()};
    refuse("bridge", "this host has no bridge with an IPv4 address that VMs could stand on",
           "make one (ip link add br0 type bridge), give it the host's address, or name one with --bridge",
           Code::not_found);
}

NetworkDone settle_network(const Site& site, const std::optional<std::string>& given) {
    const auto surroundings = site.surroundings(Access::write);
    const auto networks = surroundings->networks();
    const auto interfaces = site.interfaces();
    NetworkDone done{.bridge = find_bridge(site, interfaces, networks, given)};
    site.progress.stage(fmt::format("VMs stand on {} ({})", done.bridge.name, done.bridge.address.str()));
    const auto there = std::ranges::find(networks, libvirts_network, &LibvirtNetwork::name);
    if (there == networks.end() || (!there->active && !there->autostart)) return done;
    const host::Interface* bridge = named(interfaces, bridge_of(*there));
    if (there->active && bridge && bridge->ports > 0)
        site.progress.warn(fmt::format("{} domain(s) on libvirt's network {} lose their connection",
                                       bridge->ports, libvirts_network));
    site.progress.stage(fmt::format("stopping libvirt's network {}", libvirts_network));
    surroundings->retire_network(libvirts_network);
    done.changed = true;
    return done;
}

} // namespace blockhost::setup
