// SPDX-License-Identifier: MIT
/// Which addresses VMs of this host may have. No other address is set for a VM or removed from one.

#include "base/error.hpp"
#include "config/config.hpp"
#include "host/network.hpp"

#include <algorithm>

namespace blockhost::host {

namespace {

template<class Address>
bool contains(const std::vector<Address>& all, const Address& address) {
    return std::find(all.begin(), all.end(), address) != all.end();
}

std::string none_for_vms(const std::string& address, const char* whose) {
    return address + " is not an address for VMs (" + whose + ")";
}

/// Like unfit(). An address that cannot be checked must not be set, either.
template<class Address>
std::optional<std::string> why_not_set(const Network& network, const Address& address) {
    try {
        return network.unfit(address);
    } catch (const Error& error) {
        return none_for_vms(address.str(), error.what());
    }
}

/// Clears `wanted` when there is a reason `why`, and reports it with its consequence `what`, if any.
template<class Address>
void drop_unfit(std::optional<Address>& wanted, const std::optional<std::string>& why,
                const std::string& what, std::vector<std::string>& problems) {
    if (!why) return;
    wanted.reset();
    if (!what.empty()) problems.push_back(*why + ": " + what);
}

} // namespace

Network::Network(Paths paths, std::optional<Ipv4Pool> pool)
    : paths_(std::move(paths)), pool_(std::move(pool)) {}

std::optional<std::string> Network::unfit(const Ipv4& ip) const {
    const bool given_out = pool_ && pool_->first <= ip && ip <= pool_->last && pool_->gateway != ip &&
                           pool_->network.network() != ip && pool_->network.broadcast() != ip;
    if (given_out && !contains(own_addresses(), ip)) return std::nullopt;
    return none_for_vms(ip.str(), "ip_pool in db.yaml");
}

std::optional<std::string> Network::unfit(const Ipv6& ip) const {
    const auto broker = read_broker_allocation(paths_);
    const bool given_out =
        broker && broker->prefix.contains(ip) && broker->prefix.network() != ip && broker->gateway() != ip;
    if (given_out && !contains(own_addresses6(), ip)) return std::nullopt;
    return none_for_vms(ip.str(), "the broker's prefix");
}

std::vector<std::string> Network::place(const VmName& vm, const Placement& placement) {
    std::vector<std::string> problems;
    Placement fit = placement;
    if (fit.ip) drop_unfit(fit.ip, why_not_set(*this, *fit.ip), "no neighbour entry is set for it", problems);
    if (fit.ipv6)
        drop_unfit(fit.ipv6, why_not_set(*this, *fit.ipv6), "neither route nor neighbour entry is set for it",
                   problems);
    for (std::string& problem : do_place(vm, fit)) problems.push_back(std::move(problem));
    return problems;
}

std::vector<std::string> Network::unplace(const VmName& vm, const std::string& bridge, std::optional<Ipv4> ip,
                                          std::optional<Ipv6> ipv6) {
    std::vector<std::string> problems;
    const auto kept = [&](const auto& address) {
        return address && has_entry(bridge, address->str()) ? "its neighbour entry on " + bridge + " is kept"
                                                            : std::string();
    };
    if (ip) drop_unfit(ip, unfit(*ip), kept(ip), problems);
    if (ipv6) drop_unfit(ipv6, unfit(*ipv6), kept(ipv6), problems);
    for (std::string& problem : do_unplace(vm, bridge, ip, ipv6)) problems.push_back(std::move(problem));
    return problems;
}

} // namespace blockhost::host
