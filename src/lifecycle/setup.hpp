#pragma once
/// Making a host ready for VMs: the steps of `setup`. Each finds out everything that speaks against it before
/// it changes anything, and may be repeated. A value that is refused is a FieldError.

#include "base/field_error.hpp"
#include "base/talk.hpp"
#include "config/config.hpp"
#include "host/interfaces.hpp"
#include "hypervisor/surroundings.hpp"
#include "lifecycle/world.hpp"

namespace blockhost::setup {

/// Where a step works. db.yaml need not be there, so that this is no World.
struct Site {
    Paths paths;
    Reality reality;
    Talk& talk;

    std::vector<host::Interface> interfaces() const;
    std::unique_ptr<Hypervisor> hypervisor(Access access) const;
    std::unique_ptr<Surroundings> surroundings(Access access) const;
    /// The db.yaml that counts; in the simulated world one of its own, once a step has written it.
    std::filesystem::path db_yaml() const;
    /// Its text; nothing when it is not there or holds nothing.
    std::optional<std::string> db_text() const;
    /// Where a step writes it.
    std::filesystem::path db_target() const;
};

/// What was given; nothing: what db.yaml says, else the contract's default.
struct StorageWish {
    std::optional<std::string> pool, path;
};
struct Storage {
    bool changed = false;
    std::string pool; ///< its name in libvirt
    std::filesystem::path path;
};
/// The pool that creates use is there, active, comes up with libvirtd, and its folder exists.
Storage settle_storage(const Site& site, const StorageWish& wish);

struct Bridge {
    std::string name;
    host::HostAddress address;
};
/// The bridge VMs shall stand on: the one given, else what the host's first boot made, else db.yaml's if it
/// exists, else the first that has a global IPv4 address and is none that libvirt made for itself. Throws
/// FieldError of field "bridge".
Bridge find_bridge(const Site& site, const std::vector<host::Interface>& interfaces,
                   const std::vector<LibvirtNetwork>& networks, const std::optional<std::string>& given);

struct NetworkDone {
    bool changed = false;
    Bridge bridge;
};
/// libvirt's network `default` neither runs nor comes up with libvirtd.
NetworkDone settle_network(const Site& site, const std::optional<std::string>& bridge);

/// What was given, as text.
struct DbWish {
    std::optional<std::string> pool, path, bridge, ip_network, ip_start, ip_end, gateway, gc_grace_days;
    bool dry_run = false;
};
struct Warning {
    std::string field, message;
};
struct DbDone {
    bool changed = false; ///< also with a dry run: it would be
    std::filesystem::path file;
    DbConfig config;
    std::vector<Warning> warnings;
};
/// db.yaml has what was given, and all that the contract needs where it was new.
DbDone settle_db_config(const Site& site, const DbWish& wish);

/// What is legal and will hurt. `bridge` is where VMs stand; nothing when that cannot be told.
std::vector<Warning> dangers(const Ipv4Pool& pool, const std::string& bridge,
                             const std::vector<host::Interface>& interfaces,
                             const std::vector<DhcpRange>& ranges);

/// How db.yaml writes one end of the pool: the last octet where all of the network shares the first three,
/// which is what every reader understands, else the whole address.
std::string pool_end_text(const Ipv4Network& network, Ipv4 address);

} // namespace blockhost::setup
