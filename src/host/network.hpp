// SPDX-License-Identifier: MIT
#pragma once
/// Routes, neighbour entries and interface addresses of this host.

#include "base/time.hpp"
#include "config/config.hpp"
#include "config/paths.hpp"
#include "host/network_look.hpp"
#include "model/address.hpp"
#include "model/names.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::host {

/// The host's network, for creates and destroys. Changes may be repeated. Marks, records and journal entries
/// are outside text: only addresses that root's configuration gives to VMs are set or removed.
class Network {
  public:
    /// VMs of this host may have the addresses of `pool` and of the broker's prefix under `paths`; without a
    /// pool, no IPv4 address.
    Network(Paths paths, std::optional<Ipv4Pool> pool);
    virtual ~Network() = default;
    /// From now on no wait for the root agent ends after `end`, except that each may take a second.
    void answer_by(const Deadline& end) { end_ = end; }
    /// Why the address may not be a VM's: it lies outside of the pool or prefix, or is the host's own or a
    /// gateway's. Nothing when it may be. Throws Error{config} when the configuration cannot be read.
    std::optional<std::string> unfit(const Ipv4& ip) const;
    std::optional<std::string> unfit(const Ipv6& ip) const;
    /// True when the interface exists and is a bridge.
    virtual bool is_bridge(const std::string& interface) const = 0;
    /// True when that bridge is up (IFF_UP).
    virtual bool is_up(const std::string& bridge) const = 0;
    /// Every address of the host itself.
    virtual std::vector<Ipv4> own_addresses() const = 0;
    virtual std::vector<Ipv6> own_addresses6() const = 0;
    /// The first global IPv4 address of that interface.
    virtual std::optional<Ipv4> address_of(const std::string& interface) const = 0;
    /// The interface's MTU in bytes, if it is not the usual 1500.
    virtual std::optional<int> unusual_mtu(const std::string& interface) const = 0;
    /// Fixes the bridge's hardware address (its entries would be lost if it changed), sets the host route to
    /// the IPv6 address (/128) and permanent neighbour entries for both addresses of `vm`, and guards the
    /// port if the VM runs. Returns one sentence for each thing that could not or must not be done (none is
    /// fatal to the VM); empty when all is set.
    std::vector<std::string> place(const VmName& vm, const Placement& placement);
    /// Makes the bridge filter everything that comes from `vm`'s port, which exists while the VM runs. By
    /// default a bridge lets frames to reserved addresses (IEEE 802.1Q, 8.6.3) bypass every filter, learns
    /// from their sender and hands them to the host. Call after each start. Returns what could not be done,
    /// like place().
    virtual std::vector<std::string> guard_port(const VmName& vm, const Placement& placement) = 0;
    /// The current state, for gaps().
    virtual NetworkLook look() const = 0;
    /// What of a running VM's placement differs from what place(), guard_port() and libvirt set.
    virtual std::vector<Gap> gaps(const NetworkLook& look, const Placement& placement,
                                  const Port& port) const = 0;
    /// Connects the tap to its bridge, isolated and guarded; the tap is never connected without both. For
    /// root. Returns what could not be done.
    virtual std::vector<std::string> mend_port(const Placement& placement, const Port& port) = 0;
    /// Removes routes and entries again; missing ones are no failure. Returns what could not be removed.
    std::vector<std::string> unplace(const VmName& vm, const std::string& bridge, std::optional<Ipv4> ip,
                                     std::optional<Ipv6> ipv6);

  protected:
    const Paths& paths() const { return paths_; }
    const std::optional<Deadline>& end() const { return end_; }

  private:
    virtual std::vector<std::string> do_place(const VmName& vm, const Placement& placement) = 0;
    virtual std::vector<std::string> do_unplace(const VmName& vm, const std::string& bridge,
                                                const std::optional<Ipv4>& ip,
                                                const std::optional<Ipv6>& ipv6) = 0;
    /// Whether the bridge has a permanent neighbour entry for that address.
    virtual bool has_entry(const std::string& bridge, const std::string& address) const = 0;

    Paths paths_;
    std::optional<Ipv4Pool> pool_;
    std::optional<Deadline> end_;
};

/// The kernel's network. Root uses `ip` (iproute2). Other users ask the root agent: by this project's step,
/// or, for routes, by the agent's own action if the agent lacks that step (only a few bridge names, and no
/// neighbour entries).
class KernelNetwork : public Network {
  public:
    using Network::Network;
    bool is_bridge(const std::string& interface) const override;
    bool is_up(const std::string& bridge) const override { return host::is_up(bridge); }
    std::vector<Ipv4> own_addresses() const override;
    std::vector<Ipv6> own_addresses6() const override;
    std::optional<Ipv4> address_of(const std::string& interface) const override;
    std::optional<int> unusual_mtu(const std::string& interface) const override;
    std::vector<std::string> guard_port(const VmName& vm, const Placement& placement) override;
    NetworkLook look() const override { return kernel_look(); }
    std::vector<Gap> gaps(const NetworkLook& look, const Placement& placement,
                          const Port& port) const override {
        return kernel_gaps(look, placement, port);
    }
    std::vector<std::string> mend_port(const Placement& placement, const Port& port) override;

  private:
    std::vector<std::string> do_place(const VmName& vm, const Placement& placement) override;
    std::vector<std::string> do_unplace(const VmName& vm, const std::string& bridge,
                                        const std::optional<Ipv4>& ip,
                                        const std::optional<Ipv6>& ipv6) override;
    bool has_entry(const std::string& bridge, const std::string& address) const override;
};

/// The simulated world's network: entries are files in <world>/network; any interface name is a bridge.
class SimulatedNetwork : public Network {
  public:
    using Network::Network;
    bool is_bridge(const std::string&) const override { return true; }
    bool is_up(const std::string&) const override { return true; }
    std::vector<Ipv4> own_addresses() const override { return {}; }
    std::vector<Ipv6> own_addresses6() const override { return {}; }
    std::optional<Ipv4> address_of(const std::string&) const override { return std::nullopt; }
    /// The content of <world>/mtu, a file like the kernel's; without that file the usual MTU.
    std::optional<int> unusual_mtu(const std::string& interface) const override;
    std::vector<std::string> guard_port(const VmName&, const Placement&) override { return {}; }
    NetworkLook look() const override;
    std::vector<Gap> gaps(const NetworkLook& look, const Placement& placement, const Port&) const override {
        return gaps_in_tables(look, placement);
    }
    std::vector<std::string> mend_port(const Placement&, const Port&) override { return {}; }

  private:
    std::vector<std::string> do_place(const VmName& vm, const Placement& placement) override;
    std::vector<std::string> do_unplace(const VmName& vm, const std::string& bridge,
                                        const std::optional<Ipv4>& ip,
                                        const std::optional<Ipv6>& ipv6) override;
    bool has_entry(const std::string& bridge, const std::string& address) const override;
};

} // namespace blockhost::host
