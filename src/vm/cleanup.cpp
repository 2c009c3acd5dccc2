// SPDX-License-Identifier: MIT
/// Removes one VM's files by name, never by path.

#include "vm/cleanup.hpp"

#include "hypervisor/xml/domain.hpp"
#include "vm/disk_users.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost {

namespace {

/// virtlogd's max_backups, with room for a host that raised it.
constexpr int console_backups = 9;

void remove_file(const StatePlace& place, const std::string& name) {
    const auto folder = place.open();
    if (!folder) return;
    if (folder->kind(name) == Folder::Kind::file) folder->remove(name);
    folder->remove_temporaries(name);
}

} // namespace

void remove_console_logs(const World& world, const VmName& name) {
    remove_file(world.paths.consoles, name.str() + ".log");
    for (int i = 0; i < console_backups; ++i)
        remove_file(world.paths.consoles, fmt::format("{}.log.{}", name.str(), i));
}

void remove_samples(const World& world, const VmName& name) {
    remove_file(world.paths.metrics, name.str() + ".json");
    remove_file(world.paths.disks, name.str() + ".xml");
}

namespace {

template<class Address>
bool contains(const std::vector<Address>& list, const Address& wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
}

void drop_claimed(OwnAddresses& addresses, const Journal::Claims& claims) {
    if (addresses.ip && contains(claims.ip, *addresses.ip)) addresses.ip.reset();
    if (addresses.ipv6 && contains(claims.ipv6, *addresses.ipv6)) addresses.ipv6.reset();
}

} // namespace

OwnAddresses still_own(const World& world, const Database& database, const VmName& name,
                       OwnAddresses addresses) {
    drop_claimed(addresses, world.journal.claims_of_others(name));
    if (addresses.ip && database.held_by_another(name, *addresses.ip)) addresses.ip.reset();
    if (addresses.ipv6 && database.held_by_another(name, *addresses.ipv6)) addresses.ipv6.reset();
    return addresses;
}

Journal::Claims claims_of_domains(World& world, const VmName& name) {
    Journal::Claims claims;
    for (const DomainUse& use : world.hypervisor().uses()) {
        const Claim claim = claim_of(use);
        const DomainMark* mark = claim.made();
        if (!mark || mark->instance != world.instance.str() || use.name == name.str()) continue;
        if (mark->ip) claims.ip.push_back(*mark->ip);
        if (mark->ipv6) claims.ipv6.push_back(*mark->ipv6);
    }
    return claims;
}

void free_addresses(const World& world, Database& database, const VmName& name,
                    const OwnAddresses& addresses) {
    const OwnAddresses own = still_own(world, database, name, addresses);
    if (own.ip) database.release(*own.ip);
    if (own.ipv6) database.release(*own.ipv6);
}

namespace {

/// A disk of the 0.2.0 provisioner may lie where libvirt has no active pool: then this instance's pool is
/// made.
void delete_disk(World& world, const VmName& name, const std::string& disk) {
    try {
        world.delete_volume(name, disk);
    } catch (const Error& error) {
        const auto pool = world.hypervisor().find_pool(world.pool);
        if (error.code() != Code::hypervisor || (pool && pool->active)) throw;
        world.hypervisor().ensure_pool(world.pool, world.storage.string());
        world.delete_volume(name, disk);
    }
}

} // namespace

void require_unused(World& world, const VmName& name, const std::vector<std::string>& disks,
                    const std::optional<VmName>& but) {
    std::vector<std::filesystem::path> files;
    for (const std::string& disk : disks) files.push_back(world.storage / disk);
    const auto user = files.empty() ? std::nullopt : user_of(world, files, but);
    if (!user) return;
    throw Error(Code::hypervisor,
                fmt::format("the domain {} stands on the disk of {}; the disk is kept", *user, name.str()),
                fmt::format("undefine {} if it may go, then destroy {} again", *user, name.str()));
}

void delete_disks(World& world, const VmName& name, const std::vector<std::string>& disks) {
    if (disks.empty()) return;
    require_unused(world, name, disks);
    for (const std::string& disk : disks) delete_disk(world, name, disk);
    world.sync_volumes();
}

void remove_routes(World& world, const VmName& name, const std::string& bridge,
                   const OwnAddresses& addresses) {
    OwnAddresses own = still_own(world, world.registry.read(), name, addresses);
    if (own.ip || own.ipv6) drop_claimed(own, claims_of_domains(world, name));
    for (const std::string& problem : world.network->unplace(name, bridge, own.ip, own.ipv6))
        world.progress.warn(problem);
}

void clear_late_arrivals(World& world, const VmName& name) {
    if (auto view = world.hypervisor().find(name.str())) {
        const Claim claim = read_domain(view->xml).claim;
        const DomainMark* mark = claim.ours(world.instance);
        const auto operation = mark ? OperationId::try_parse(mark->operation) : std::nullopt;
        if (operation && operation->of(world.instance) && world.journal.was_rolled_back(*operation)) {
            world.hypervisor().power_off(name.str());
            world.hypervisor().undefine(name.str());
        }
    }
    for (const std::string& file : world.volume_files()) {
        const auto operation = operation_of_volume(name, file);
        if (operation && operation->of(world.instance) && world.journal.was_rolled_back(*operation))
            world.delete_volume(name, file);
    }
}

} // namespace blockhost
