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

OwnAddresses still_own(const World& world, const Database& database, const VmName& name,
                       OwnAddresses addresses) {
    const Journal::Claims claims = world.journal.claims_of_others(name);
    const auto claimed = [](const auto& list, const auto& address) {
        return std::find(list.begin(), list.end(), address) != list.end();
    };
    if (addresses.ip && (database.held_by_another(name, *addresses.ip) || claimed(claims.ip, *addresses.ip)))
        addresses.ip.reset();
    if (addresses.ipv6 &&
        (database.held_by_another(name, *addresses.ipv6) || claimed(claims.ipv6, *addresses.ipv6)))
        addresses.ipv6.reset();
    return addresses;
}

void free_addresses(const World& world, Database& database, const VmName& name,
                    const OwnAddresses& addresses) {
    const OwnAddresses own = still_own(world, database, name, addresses);
    if (own.ip) database.release(*own.ip);
    if (own.ipv6) database.release(*own.ipv6);
}

void remove_routes(World& world, const VmName& name, const std::string& bridge,
                   const OwnAddresses& addresses) {
    const OwnAddresses own = still_own(world, world.registry.read(), name, addresses);
    for (const std::string& problem : world.network->unplace(bridge, own.ip, own.ipv6))
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
