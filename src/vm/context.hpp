// SPDX-License-Identifier: MIT
#pragma once
/// Everything an operation works with, opened as far as needed.

#include "base/progress.hpp"
#include "config/config.hpp"
#include "host/network.hpp"
#include "hypervisor/hypervisor.hpp"
#include "registry/registry.hpp"
#include "vm/journal.hpp"
#include "vm/step_times.hpp"

#include <memory>

namespace blockhost {

enum class Reality { real, simulated };
/// Whether the verb may write. A verb that only looks makes no instance id either.
enum class Intent { look, change };

/// The context of one process: the configuration, read once, and the hypervisor, connected at first need.
class World {
  public:
    World(const World&) = delete;
    /// Reads db.yaml and this instance's id. With `simulated`, `paths` are the mock ones and the database is
    /// mock-db.json in the current folder. `progress` must outlive this object. `end` is when the caller
    /// gives up: no answer is waited for beyond it.
    World(Paths paths, Reality reality, Intent intent, Progress& progress, std::optional<Deadline> end = {});

    Paths paths;
    Reality reality;
    Progress& progress;
    const std::optional<Deadline> end;
    DbConfig config;
    InstanceId instance;
    Registry registry;
    Journal journal;
    std::string pool;              ///< the pool's name in libvirt
    std::filesystem::path storage; ///< its folder
    std::unique_ptr<host::Network> network;
    /// The times of the operation under way, and of what came before it in this process.
    Stages stages{"prepare"};
    /// How long a domain that was let run is watched before it counts as running.
    std::chrono::milliseconds settle_window;
    /// How long a call to the hypervisor may still take effect after its caller's death.
    std::chrono::milliseconds late_window;

    /// Connects at first need; see open_libvirt and open_simulated for what it throws.
    Hypervisor& hypervisor();

    /// Connects anew after a connection was lost or given up; tries for up to `patience`. Throws the last
    /// try's error.
    void reconnect(std::chrono::seconds patience);

    /// The id of the operation that comes next: the chosen one, which serves once, or a new one.
    OperationId next_operation();
    /// What the caller noted beforehand, so that it can find the operation again.
    std::optional<OperationId> chosen_operation;
    /// The uuid of the domain that the caller means: an operation refuses another one of the VM's name, once
    /// it has the VM. Empty: whichever has the name.
    std::string meant_domain;

    /// Ends a wait for the registry's lock early; null while undoing. The operation that sets it owns it.
    const Interruption* interruption = nullptr;

    /// The pool's folder; nothing when it does not exist. Throws as StateFolder::at for a planted link, which
    /// libvirt would follow.
    std::optional<Folder> storage_folder() const;
    /// Removes a VM's disk volume, by its file name in the pool's folder, through the hypervisor.
    void delete_volume(const VmName& owner, const std::string& file_name);
    /// Syncs the pool's folder: a later loss of power brings no deleted disk back, and loses no new disk's
    /// name.
    void sync_volumes() const;
    /// The file names in the pool's folder; empty when the folder was never made. Throws Error{io} when it
    /// cannot be read, or is missing while libvirt has the pool.
    std::vector<std::string> volume_files();

  private:
    RegistryWaits waits();
    std::unique_ptr<Hypervisor> hypervisor_;
};

/// Whether an Error says that libvirt did not answer, or is gone. The call may still be carried out, and the
/// connection is of no more use.
bool is_lost_connection(const Error& error);

/// The database of the simulated world: mock-db.json beside that world's folder.
std::filesystem::path mock_database(const Paths& mock_paths);

} // namespace blockhost
