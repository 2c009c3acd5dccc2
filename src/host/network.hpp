#pragma once
/// Routes, neighbour entries and interface addresses of this host.

#include "config/paths.hpp"
#include "model/address.hpp"
#include "model/names.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::host {

/// One VM's place on the bridge.
struct Placement {
    std::string bridge;
    Mac mac;
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
};

/// The host's network as creates and destroys see it. Changes may be repeated.
class Network {
  public:
    virtual ~Network() = default;
    /// True when the interface exists and is a bridge.
    virtual bool is_bridge(const std::string& interface) const = 0;
    /// Every address of the host itself.
    virtual std::vector<Ipv4> own_addresses() const = 0;
    virtual std::vector<Ipv6> own_addresses6() const = 0;
    /// The first global IPv4 address of that interface.
    virtual std::optional<Ipv4> address_of(const std::string& interface) const = 0;
    /// Fixes the bridge's own hardware address (else entries on it are lost), sets the host route for the
    /// IPv6 address (/128) and permanent neighbour entries for both addresses, which are `vm`'s, and guards
    /// its port if it runs. Returns one sentence per thing that could not be done (none is fatal to a VM's
    /// life); empty when all is set.
    virtual std::vector<std::string> place(const VmName& vm, const Placement& placement) = 0;
    /// Has the bridge filter everything that comes from `vm`'s port, which it has while it runs: by itself it
    /// lets frames to reserved addresses (IEEE 802.1Q, 8.6.3) pass by every filter, learns from their sender
    /// and hands them to the host. To be called after each start. Returns what could not be done, as place()
    /// does.
    virtual std::vector<std::string> guard_port(const VmName& vm, const Placement& placement) = 0;
    /// Removes routes and entries again; what is already gone is fine. Returns what could not be removed.
    virtual std::vector<std::string> unplace(const VmName& vm, const std::string& bridge,
                                             const std::optional<Ipv4>& ip,
                                             const std::optional<Ipv6>& ipv6) = 0;
};

/// The kernel's: `ip` (iproute2) when we are root, else through the root agent: by our own step, and by the
/// agent's own action for routes where it has no such step (a few bridge names only, and no neighbour
/// entries).
class KernelNetwork : public Network {
  public:
    explicit KernelNetwork(Paths paths) : paths_(std::move(paths)) {}
    bool is_bridge(const std::string& interface) const override;
    std::vector<Ipv4> own_addresses() const override;
    std::vector<Ipv6> own_addresses6() const override;
    std::optional<Ipv4> address_of(const std::string& interface) const override;
    std::vector<std::string> place(const VmName& vm, const Placement& placement) override;
    std::vector<std::string> guard_port(const VmName& vm, const Placement& placement) override;
    std::vector<std::string> unplace(const VmName& vm, const std::string& bridge,
                                     const std::optional<Ipv4>& ip, const std::optional<Ipv6>& ipv6) override;

  private:
    Paths paths_;
};

/// The simulated world's: entries are files in <world>/network; any interface name is a bridge.
class SimulatedNetwork : public Network {
  public:
    explicit SimulatedNetwork(std::filesystem::path world) : world_(std::move(world)) {}
    bool is_bridge(const std::string&) const override { return true; }
    std::vector<Ipv4> own_addresses() const override { return {}; }
    std::vector<Ipv6> own_addresses6() const override { return {}; }
    std::optional<Ipv4> address_of(const std::string&) const override { return std::nullopt; }
    std::vector<std::string> place(const VmName& vm, const Placement& placement) override;
    std::vector<std::string> guard_port(const VmName&, const Placement&) override { return {}; }
    std::vector<std::string> unplace(const VmName& vm, const std::string& bridge,
                                     const std::optional<Ipv4>& ip, const std::optional<Ipv6>& ipv6) override;

  private:
    std::filesystem::path world_;
};

} // namespace blockhost::host
