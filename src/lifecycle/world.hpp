#pragma once
/// Everything an operation works with, opened as far as needed, and how one VM looks in it.

#include "base/talk.hpp"
#include "config/config.hpp"
#include "host/network.hpp"
#include "hypervisor/domain_xml.hpp"
#include "hypervisor/hypervisor.hpp"
#include "lifecycle/journal.hpp"
#include "lifecycle/stages.hpp"
#include "lifecycle/state.hpp"
#include "registry/registry.hpp"

#include <memory>

namespace blockhost {

enum class Reality { real, simulated };
/// Whether the verb may write: one that only looks makes no instance id either.
enum class Intent { look, change };

/// The world of one process: configuration read once, the hypervisor connected at first need.
class World {
  public:
    World(const World&) = delete;
    /// Reads db.yaml and this instance's id. With `simulated`, `paths` are the mock ones and the database is
    /// mock-db.json in the current folder. `talk` must outlive it.
    World(Paths paths, Reality reality, Intent intent, Talk& talk);

    Paths paths;
    Reality reality;
    Talk& talk;
    DbConfig config;
    InstanceId instance;
    Registry registry;
    Journal journal;
    std::string pool;              ///< the pool's name in libvirt
    std::filesystem::path storage; ///< its folder
    std::unique_ptr<host::Network> network;
    /// Of the operation under way, and what came before it in this process.
    Stages stages{"prepare"};
    /// How long after its caller's death a hypervisor's call may still take effect.
    std::chrono::milliseconds late_window;

    /// Connects at first need; see open_libvirt and open_simulated for what it throws.
    Hypervisor& hypervisor();

    /// Connects anew after a connection was lost or given up, trying for up to `patience`. Throws what the
    /// last try threw.
    void reconnect(std::chrono::seconds patience);

    /// What ends waits for the registry's lock early; nothing while undoing. Owned by the operation that sets
    /// it.
    const Interruption* interruption = nullptr;

    /// Removes a disk volume by name of the pool's folder, through the hypervisor.
    void delete_volume(const std::string& file_name);
    /// From then on a loss of power brings no deleted disk back, and takes no name of a new one.
    void sync_volumes() const;
    /// The file names in the pool's folder; Error{io} when it cannot be read, empty when it does not exist.
    std::vector<std::string> volume_files() const;

  private:
    RegistryWaits waits();
    std::unique_ptr<Hypervisor> hypervisor_;
};

/// Whether an Error says that libvirt did not answer, or is gone: the call may still be carried out, and the
/// connection is of no more use.
bool is_lost_connection(const Error& error);

/// The database of the simulated world: mock-db.json beside it.
std::filesystem::path mock_database(const Paths& mock_paths);

/// Why a domain counts as ours.
enum class Proof {
    none,      ///< it does not
    mark,      ///< our metadata with our instance's id
    adoptable, ///< a VM of the 0.2.0 provisioner: its record, disk path and seed path agree
};

/// One VM, looked at from three sides.
struct Observation {
    VmName name;
    std::optional<VmRecord> record;
    std::optional<DomainView> domain;
    DomainFacts facts; ///< of the domain; empty without one
    Proof proof = Proof::none;
    VmState state = VmState::absent;
};

/// Looks at the registry and at the hypervisor; the journal's side is the caller's, who holds the entry.
/// Throws when either look fails: a failed look is not an empty look.
Observation observe(World& world, const VmName& name, EntrySeen entry = EntrySeen::none);

/// The domain of that name when it is provably ours: by our mark alone, or with the record as proof.
Proof proof_of(const World& world, const VmName& name, const std::optional<VmRecord>& record,
               const DomainFacts& facts);

/// Finds what the verdict table says; throws its Error when it refuses.
const Verdict& decide(const Observation& seen, Verb verb);

} // namespace blockhost
