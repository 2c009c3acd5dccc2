// SPDX-License-Identifier: MIT
/// See surroundings.hpp.

#include "hypervisor/libvirt/surroundings.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <optional>

namespace blockhost::libvirt::surroundings {
namespace {

struct ReleaseNetwork {
    void operator()(virNetworkPtr p) const { virNetworkFree(p); }
};
using Network = std::unique_ptr<virNetwork, ReleaseNetwork>;

/// Nothing for one that went meanwhile.
std::optional<LibvirtNetwork> view_of(virConnectPtr connection, virNetworkPtr network) {
    const char* name = virNetworkGetName(network);
    Text xml(virNetworkGetXMLDesc(network, 0));
    const int active = virNetworkIsActive(network);
    int autostart = 0;
    // a transient one has no autostart and says so by failing
    if (virNetworkGetAutostart(network, &autostart) < 0) autostart = 0;
    if (name && xml && active >= 0) return LibvirtNetwork{name, xml.get(), active == 1, autostart == 1};
    if (last_code() == VIR_ERR_NO_NETWORK) return std::nullopt;
    throw last_failure(connection, "describe a network");
}

} // namespace

std::vector<LibvirtNetwork> networks(virConnectPtr connection) {
    virNetworkPtr* found = nullptr;
    const int count = virConnectListAllNetworks(connection, &found, 0);
    // a daemon without the network driver has none
    if (count < 0 && last_code() == VIR_ERR_NO_SUPPORT) return {};
    if (count < 0) throw last_failure(connection, "list networks");
    std::vector<Network> owned(found, found + count);
    std::free(found);
    std::vector<LibvirtNetwork> all;
    for (const Network& each : owned)
        if (auto view = view_of(connection, each.get())) all.push_back(std::move(*view));
    return all;
}

void retire_network(virConnectPtr connection, const std::string& name) {
    const Network network(virNetworkLookupByName(connection, name.c_str()));
    if (!network && (last_code() == VIR_ERR_NO_NETWORK || last_code() == VIR_ERR_NO_SUPPORT)) return;
    if (!network) throw last_failure(connection, "look up network " + name);
    int autostart = 0;
    if (virNetworkIsPersistent(network.get()) == 1 &&
        (virNetworkGetAutostart(network.get(), &autostart) < 0 || autostart) &&
        virNetworkSetAutostart(network.get(), 0) < 0)
        throw last_failure(connection, "end the autostart of network " + name);
    if (virNetworkIsActive(network.get()) == 0) return;
    if (virNetworkDestroy(network.get()) == 0) return;
    const auto why = last_failure(connection, "stop network " + name);
    if (virNetworkIsActive(network.get()) == 1) throw why;
}

bool pool_is_settled(virConnectPtr connection, const std::string& name) {
    const Pool pool(virStoragePoolLookupByName(connection, name.c_str()));
    if (!pool && last_code() == VIR_ERR_NO_STORAGE_POOL) return false;
    if (!pool) throw last_failure(connection, "look up storage pool " + name);
    int autostart = 0;
    return virStoragePoolIsActive(pool.get()) == 1 &&
           virStoragePoolGetAutostart(pool.get(), &autostart) == 0 && autostart == 1;
}

} // namespace blockhost::libvirt::surroundings
