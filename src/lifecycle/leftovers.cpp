/// Removing one VM's files by name, never by path.

#include "lifecycle/leftovers.hpp"

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

void free_addresses(const World& world, Database& database, const VmName& name, const std::optional<Ipv4>& ip,
                    const std::optional<Ipv6>& ipv6) {
    if (ip && !used_by_another(world, database, name, *ip)) database.release(*ip);
    if (ipv6 && !used_by_another(world, database, name, *ipv6)) database.release(*ipv6);
}

} // namespace blockhost
