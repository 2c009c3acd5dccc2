// SPDX-License-Identifier: MIT
#pragma once
/// What libvirt keeps besides domains and disks, and setup has to do with: its own networks, and whether a
/// pool comes up with the host. Behind an interface of its own, since no operation on a VM needs it.

#include "hypervisor/open.hpp"
#include "model/address.hpp"

#include <memory>

namespace blockhost {

/// An address range that libvirt's dnsmasq hands out.
struct DhcpRange {
    std::string network; ///< its name in libvirt
    Ipv4 first, last;
};

/// All calls throw Error, as Hypervisor's do.
class Surroundings {
  public:
    virtual ~Surroundings() = default;

    virtual std::vector<LibvirtNetwork> networks() = 0;
    /// Stops that network and takes its autostart away; both may be so already, and it need not exist.
    virtual void retire_network(const std::string& name) = 0;
    /// Whether the pool is there, active and comes up with libvirtd.
    virtual bool pool_is_settled(const std::string& name) = 0;
};

/// The bridge that libvirt makes for the network or that it puts guests on; empty when there is none.
std::string bridge_of(const LibvirtNetwork& network);
/// Whether libvirt makes that bridge itself: it does unless guests are only put on one that is there.
bool makes_its_bridge(const LibvirtNetwork& network);
/// The IPv4 ranges of the networks that are active; what is no address in a definition is left out.
std::vector<DhcpRange> dhcp_ranges(const std::vector<LibvirtNetwork>& networks);

/// As open_libvirt.
std::unique_ptr<Surroundings> open_libvirt_surroundings(const std::string& uri, Access access);
/// Networks are `<world>/networks/NAME.json`, objects of `xml`, `active`, `autostart`, which a test puts
/// there.
std::unique_ptr<Surroundings> open_simulated_surroundings(const std::filesystem::path& world);

} // namespace blockhost
