/// libvirt's networks, and a pool's autostart: the module's second symbol. Asked on a worker thread too, so
/// that each call ends here.

#include "hypervisor/surroundings.hpp"

#include "hypervisor/libvirt/border.hpp"
#include "hypervisor/libvirt/connection.hpp"
#include "hypervisor/libvirt/handles.hpp"

namespace blockhost::libvirt {
namespace {

using namespace std::chrono_literals;

constexpr auto look_span = 10s;
constexpr auto change_span = 60s; ///< a network stops by ending its dnsmasq and taking its rules away

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

std::vector<LibvirtNetwork> list(virConnectPtr connection) {
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

void retire(virConnectPtr connection, const std::string& name) {
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

bool is_settled(virConnectPtr connection, const std::string& name) {
    const Pool pool(virStoragePoolLookupByName(connection, name.c_str()));
    if (!pool && last_code() == VIR_ERR_NO_STORAGE_POOL) return false;
    if (!pool) throw last_failure(connection, "look up storage pool " + name);
    int autostart = 0;
    return virStoragePoolIsActive(pool.get()) == 1 &&
           virStoragePoolGetAutostart(pool.get(), &autostart) == 0 && autostart == 1;
}

class LibvirtSurroundings final : public Surroundings {
  public:
    LibvirtSurroundings(std::string uri, bool write)
        : uri_(std::move(uri)), connection_(open_on(worker_, uri_, write, 30s)) {}

    ~LibvirtSurroundings() override {
        if (worker_.stuck()) return;
        Failure ignored;
        guarded(ignored, [&] {
            worker_.run<bool>(2s, [connection = std::move(connection_)]() mutable {
                connection.reset();
                return true;
            });
            return true;
        });
    }

  private:
    std::vector<LibvirtNetwork> do_networks(Failure& f) noexcept override {
        using All = std::vector<LibvirtNetwork>;
        return guarded(f, [&] {
            return answered<All>(worker_, uri_, look_span,
                                 [connection = connection_] { return list(connection->get()); });
        });
    }
    void do_retire_network(const std::string& name, Failure& f) noexcept override {
        guarded(f, [&] {
            return answered<bool>(worker_, uri_, change_span, [connection = connection_, name] {
                retire(connection->get(), name);
                return true;
            });
        });
    }
    bool do_pool_is_settled(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] {
            return answered<bool>(worker_, uri_, look_span, [connection = connection_, name] {
                return is_settled(connection->get(), name);
            });
        });
    }

    std::string uri_;
    Worker worker_;
    std::shared_ptr<Connection> connection_;
};

} // namespace
} // namespace blockhost::libvirt

extern "C" __attribute__((visibility("default"))) blockhost::Surroundings*
blockhost_make_surroundings(const char* uri, bool write, blockhost::Failure* failure) {
    return blockhost::libvirt::guarded(*failure, [&]() -> blockhost::Surroundings* {
        return new blockhost::libvirt::LibvirtSurroundings(uri, write);
    });
}
