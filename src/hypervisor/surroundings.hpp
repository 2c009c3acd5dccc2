#pragma once
/// What libvirt keeps besides domains and disks, and setup has to do with: its own networks, and whether a
/// pool comes up with the host. Behind an interface of its own, since no operation on a VM needs it.

#include "hypervisor/load.hpp"
#include "model/address.hpp"

#include <memory>

namespace blockhost {

/// One of libvirt's networks, as the driver shows it.
struct LibvirtNetwork {
    std::string name, xml;
    bool active = false, autostart = false;
};

/// An address range that libvirt's dnsmasq hands out.
struct DhcpRange {
    std::string network; ///< its name in libvirt
    Ipv4 first, last;
};

/// As with Hypervisor, no exception crosses the interface, only plain structs.
class Surroundings {
  public:
    virtual ~Surroundings() = default;

    std::vector<LibvirtNetwork> networks();
    /// Stops that network and takes its autostart away; both may be so already, and it need not exist.
    void retire_network(const std::string& name);
    /// Whether the pool is there, active and comes up with libvirtd.
    bool pool_is_settled(const std::string& name);

  private:
    virtual std::vector<LibvirtNetwork> do_networks(Failure& f) noexcept = 0;
    virtual void do_retire_network(const std::string& name, Failure& f) noexcept = 0;
    virtual bool do_pool_is_settled(const std::string& name, Failure& f) noexcept = 0;
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

extern "C" {
using SurroundingsMaker = Surroundings* (*)(const char* uri, bool write, Failure* failure);
}
inline constexpr const char* surroundings_maker_symbol = "blockhost_make_surroundings";

} // namespace blockhost
