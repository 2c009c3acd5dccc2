// SPDX-License-Identifier: MIT
/// See context.hpp.

#include "vm/context.hpp"

#include "base/patience.hpp"
#include "config/mounts.hpp"
#include "hypervisor/open.hpp"
#include "vm/first_use.hpp"

#include <fmt/format.h>
#include <utility>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

DbConfig config_of(const Paths& paths, Reality reality) {
    DbConfig config = read_db_config(paths);
    if (reality == Reality::real) require_database_folder(config, paths);
    if (reality == Reality::simulated) {
        config.db_file = mock_database(paths);
        config.storage_path = paths.disks.string();
    }
    return config;
}

/// A verb that changes something makes a missing state folder and its id, unless a domain names that folder.
InstanceId instance_for(const Paths& paths, Reality reality, Intent intent) {
    if (const auto known = existing_instance_id(paths)) return *known;
    if (intent == Intent::look) return InstanceId::random();
    require_first_use(reality == Reality::simulated ? *open_simulated(paths.world)
                                                    : *open_hypervisor(paths, Access::read),
                      paths);
    return instance_id(paths);
}

std::unique_ptr<host::Network> network_of(const Paths& paths, Reality reality, const Ipv4Pool& pool) {
    if (reality == Reality::simulated) return std::make_unique<host::SimulatedNetwork>(paths, pool);
    return std::make_unique<host::KernelNetwork>(paths, pool);
}

} // namespace

bool is_lost_connection(const Error& error) {
    return error.code() == Code::no_answer || error.code() == Code::hypervisor_down;
}

std::filesystem::path mock_database(const Paths& mock_paths) {
    return mock_paths.world.parent_path() / "mock-db.json";
}

World::World(Paths given, Reality kind, Intent intent, Progress& listener, std::optional<Deadline> until)
    : paths(std::move(given)), reality(kind), progress(listener), end(until),
      config(config_of(paths, reality)), instance(instance_for(paths, reality, intent)),
      registry(config.db_file, waits(), paths.state), journal(paths.journal),
      pool(pool_name(config, paths, instance)), storage(config.storage_path),
      network(network_of(paths, reality, config.ipv4)),
      settle_window(reality == Reality::simulated ? 60ms : 2000ms),
      late_window(reality == Reality::simulated ? 2s : 10s) {
    if (end) network->answer_by(*end);
}

Hypervisor& World::hypervisor() {
    constexpr std::chrono::seconds daemon_wakes_within(30);
    if (hypervisor_) return *hypervisor_;
    const auto longest = std::chrono::ceil<std::chrono::seconds>(within(end, daemon_wakes_within));
    hypervisor_ = reality == Reality::simulated ? open_simulated(paths.world)
                                                : open_hypervisor(paths, Access::write, longest);
    if (end) hypervisor_->answer_by(*end);
    return *hypervisor_;
}

OperationId World::next_operation() {
    if (!chosen_operation) return OperationId::make(instance);
    return *std::exchange(chosen_operation, std::nullopt);
}

RegistryWaits World::waits() {
    RegistryWaits waits;
    waits.end = end;
    waits.give_up = [this] { return interruption && interruption->reason() != Interruption::Reason::none; };
    return waits;
}

void World::reconnect(std::chrono::seconds patience) {
    const Deadline deadline = Deadline::in(within(end, patience));
    hypervisor_.reset();
    while (true) {
        try {
            hypervisor();
            return;
        } catch (const Error&) {
            if (deadline.passed()) throw;
        }
        pause_for(500ms);
    }
}

std::optional<Folder> World::storage_folder() const {
    return paths.state.at(storage);
}

/// libvirt knows volumes by the pool's own spelling of its folder.
void World::delete_volume(const VmName& owner, const std::string& file_name) {
    storage_folder(); // libvirt would follow a planted link
    const auto known = hypervisor().find_pool(pool);
    const bool same = known && paths.state.is_same(known->path, storage);
    const std::filesystem::path folder = same ? std::filesystem::path(known->path) : storage;
    hypervisor().delete_volume((folder / file_name).string(), owner.str());
}

void World::sync_volumes() const {
    if (const auto folder = storage_folder()) folder->sync();
}

std::vector<std::string> World::volume_files() {
    if (const auto folder = storage_folder()) return folder->names();
    require_mounted(paths); // its message is better when a file system is missing
    if (!hypervisor().find_pool(pool)) return {};
    throw Error(Code::io,
                fmt::format("the folder {} of the storage pool {} is missing; nothing was touched",
                            storage.string(), pool),
                "mount its file system; if its disks are lost, make the folder again");
}

} // namespace blockhost
