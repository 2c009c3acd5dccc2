/// Removing one VM's files by name, never by path.

#include "lifecycle/leftovers.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost {

namespace {

/// virtlogd's max_backups, with room for a host that raised it.
constexpr int console_backups = 9;

void remove_file(const std::filesystem::path& folder_path, const std::string& name) {
    const auto folder = Folder::open(folder_path);
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
        const auto mark = read_mark(use.metadata);
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

std::vector<std::string> disks_of(World& world, const Observation& seen) {
    const auto is_attached = [&](const std::string& path) {
        return std::find(seen.facts.disks.begin(), seen.facts.disks.end(), path) != seen.facts.disks.end();
    };
    std::vector<std::string> disks;
    const auto files = world.volume_files();
    for (const std::string& file : files) {
        const auto operation = operation_of_volume(seen.name, file);
        const bool ours = operation && operation->of(world.instance);
        const bool adopted = seen.proof != Proof::none && file == seen.name.str() + ".qcow2" &&
                             is_attached((world.storage / file).string());
        if (ours || adopted) disks.push_back(file);
    }
    for (const std::string& attached : seen.facts.disks) {
        const std::filesystem::path path(attached);
        const std::string file = path.filename().string();
        const bool in_pool = path.parent_path() == world.storage;
        if (in_pool && std::find(disks.begin(), disks.end(), file) != disks.end()) continue;
        const bool is_gone = in_pool && std::find(files.begin(), files.end(), file) == files.end();
        if (operation_of_volume(seen.name, file) && (!in_pool || !Folder::open(world.storage)))
            throw Error(Code::io,
                        fmt::format("the disk {} of {} cannot be seen; nothing was touched", attached,
                                    seen.name.str()),
                        "mount its file system, or set storage_path in db.yaml back to where it lies");
        world.talk.warn(is_gone ? fmt::format("the disk {} of {} is gone already", attached, seen.name.str())
                                : fmt::format("{} is attached to {} but was not made by us; it is kept",
                                              attached, seen.name.str()));
    }
    return disks;
}

namespace {

/// A domain that uses one of the disks, under whatever name: one that carries the id of the operation that
/// made the disk, or, for a disk without an id, one that has it under whatever path.
std::optional<std::string> user_of(World& world, const VmName& name, const std::vector<std::string>& disks) {
    Hypervisor& hypervisor = world.hypervisor();
    const auto identity = [](const std::filesystem::path& path) { // whatever a domain calls it
        std::error_code ignored;
        return std::filesystem::exists(path, ignored) ? files::identity(path) : path.string();
    };
    std::vector<std::string> identities;
    bool all_named = true; // by the operations that made them
    for (const std::string& disk : disks) {
        identities.push_back(identity(world.storage / disk));
        all_named = all_named && operation_of_volume(name, disk);
    }
    const auto is_one = [&](const std::string& used) {
        return std::ranges::find(identities, identity(used)) != identities.end();
    };
    for (const DomainUse& use : hypervisor.uses()) {
        const auto mark = read_mark(use.metadata);
        const auto id = mark ? OperationId::try_parse(mark->operation) : std::nullopt;
        if (id && std::find(disks.begin(), disks.end(), volume_name(name, *id)) != disks.end())
            return use.name;
        if (all_named && mark && mark->instance == world.instance.str()) continue;
        const auto view = hypervisor.find(use.name);
        const auto used = view ? read_domain(view->xml).disks : std::vector<std::string>{};
        if (std::ranges::any_of(used, is_one)) return use.name;
    }
    return std::nullopt;
}

/// A disk of the 0.2.0 provisioner may lie where libvirt has no active pool: then ours is made.
void delete_disk(World& world, const std::string& disk) {
    try {
        world.delete_volume(disk);
    } catch (const Error& error) {
        const auto pool = world.hypervisor().find_pool(world.pool);
        if (error.code() != Code::hypervisor || (pool && pool->active)) throw;
        world.hypervisor().ensure_pool(world.pool, world.storage.string());
        world.delete_volume(disk);
    }
}

} // namespace

void delete_disks(World& world, const VmName& name, const std::vector<std::string>& disks) {
    if (disks.empty()) return;
    if (const auto user = user_of(world, name, disks))
        throw Error(
            Code::hypervisor,
            fmt::format("the domain {} stands on the disk of {}; the disk is kept", *user, name.str()),
            fmt::format("undefine {} if it may go, then destroy {} again", *user, name.str()));
    for (const std::string& disk : disks) delete_disk(world, disk);
    world.sync_volumes();
}

void remove_routes(World& world, const VmName& name, const std::string& bridge,
                   const OwnAddresses& addresses) {
    OwnAddresses own = still_own(world, world.registry.read(), name, addresses);
    if (own.ip || own.ipv6) drop_claimed(own, claims_of_domains(world, name));
    for (const std::string& problem : world.network->unplace(name, bridge, own.ip, own.ipv6))
        world.talk.warn(problem);
}

void clear_late_arrivals(World& world, const VmName& name) {
    if (auto view = world.hypervisor().find(name.str())) {
        const auto mark = read_domain(view->xml).mark;
        const auto operation = mark ? OperationId::try_parse(mark->operation) : std::nullopt;
        if (operation && operation->of(world.instance) && world.journal.was_rolled_back(*operation)) {
            world.hypervisor().power_off(name.str());
            world.hypervisor().undefine(name.str());
        }
    }
    for (const std::string& file : world.volume_files()) {
        const auto operation = operation_of_volume(name, file);
        if (operation && operation->of(world.instance) && world.journal.was_rolled_back(*operation))
            world.delete_volume(file);
    }
}

} // namespace blockhost
