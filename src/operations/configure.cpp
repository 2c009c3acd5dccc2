// SPDX-License-Identifier: MIT
/// Configuring, step by step. Each step may be repeated: it says how the VM is to be, not what is to be
/// added.

#include "operations/configure.hpp"

#include "base/patience.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "config/mounts.hpp"
#include "hypervisor/settings_json.hpp"
#include "operations/admission.hpp"
#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "vm/disk_chain.hpp"
#include "vm/undo_snapshot.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;

constexpr std::int64_t mib_in_gib = 1024;
constexpr std::uint64_t mib = 1ull << 20;

struct ConfigureOperation {
    World& world;
    const Observation& seen;
    DomainSettings settings;   ///< what is to be another
    std::int64_t disk_mib = 0; ///< 0: the disk stays as it is

    std::string name() const { return seen.name.str(); }
};

/// A domain that runs without a definition would keep nothing of it.
void set_definition(ConfigureOperation& op) {
    if (op.settings == DomainSettings()) return;
    keep_definition(op.world, op.seen);
    op.world.hypervisor().configure(op.name(), op.settings);
    const auto view = op.world.hypervisor().find(op.name());
    if (!view) throw Error(Code::not_found, "the domain of " + op.name() + " is gone from libvirt");
    const DomainSettings now = read_settings(view->xml), &wanted = op.settings;
    const bool is_so = (!wanted.cpus || now.cpus == wanted.cpus) &&
                       (!wanted.memory_mib || now.memory_mib == wanted.memory_mib) &&
                       (!wanted.description || now.description == wanted.description) &&
                       (!wanted.tags || now.tags == wanted.tags);
    if (!is_so)
        throw Error(Code::hypervisor,
                    "libvirt says that it changed the definition of " + op.name() + ", which says otherwise",
                    "look at 'virsh dumpxml --inactive " + op.name() + "'");
}

void grow_disk(ConfigureOperation& op) {
    if (op.disk_mib == 0) return;
    const std::string disk = first_disk(op.world, op.seen).string();
    const std::uint64_t wanted = static_cast<std::uint64_t>(op.disk_mib) * mib;
    op.world.hypervisor().grow_disk(op.name(), disk, wanted);
    const auto volume = op.world.hypervisor().find_volume(disk);
    if (!volume || volume->capacity_bytes < wanted)
        throw Error(Code::hypervisor,
                    "libvirt says that it made the disk of " + op.name() + " larger, which it is not",
                    "look at 'virsh vol-info " + disk + "'");
}

constexpr std::array<Step<ConfigureOperation>, 2> steps{{
    {"set-definition", "changing the definition", set_definition},
    {"grow-disk", "making the disk larger", grow_disk},
}};

/// The entry of a call that may still be carried out stays open, for whoever works on the VM next.
void run(ConfigureOperation& op, JournalEntry& entry, const Interruption& interruption) {
    try {
        run_forward<ConfigureOperation>(steps, op, entry, interruption, op.world);
    } catch (const Error& error) {
        if (!is_lost_connection(error)) entry.end();
        throw;
    }
    entry.end();
}

bj::object to_json(const ConfigureOperation& op) {
    bj::object all{{"uuid", op.seen.domain->uuid}, {"settings", blockhost::to_json(op.settings)}};
    if (op.disk_mib != 0) all["disk_mib"] = op.disk_mib;
    if (op.settings.memory_mib) all["memory_mib"] = *op.settings.memory_mib; // other operations count it
    return all;
}

/// Leaves out what is so already.
void only_changes(DomainSettings& wanted, const DomainSettings& now) {
    if (wanted.cpus == now.cpus) wanted.cpus.reset();
    if (wanted.memory_mib == now.memory_mib) wanted.memory_mib.reset();
    if (wanted.description == now.description) wanted.description.reset();
    if (wanted.tags == now.tags) wanted.tags.reset();
}

/// How large the first disk is; 0 rounded down below a MiB.
std::int64_t disk_of(World& world, const Observation& seen) {
    const std::string disk = first_disk(world, seen).string();
    const auto volume = world.hypervisor().find_volume(disk);
    if (!volume)
        throw Error(Code::hypervisor, "no storage pool has the disk " + disk + " of " + seen.name.str(),
                    "see 'virsh pool-list --all'");
    return static_cast<std::int64_t>(volume->capacity_bytes / mib);
}

/// Whether the disk is to grow. Throws when it cannot.
bool must_grow(World& world, const Observation& seen, std::int64_t now_mib, std::int64_t wanted_mib) {
    if (wanted_mib < now_mib)
        throw Error(Code::invalid,
                    fmt::format("the disk of {} has {} MiB, and a disk never becomes smaller",
                                seen.name.str(), now_mib),
                    "make a new VM with a smaller one, and move its data there");
    if (wanted_mib > limits::disk_max_gib * mib_in_gib)
        throw Error(Code::invalid, fmt::format("no disk has more than {} GiB", limits::disk_max_gib));
    if (wanted_mib == now_mib) return false;
    if (undo_snapshot_of(world, seen))
        throw Error(Code::wrong_state,
                    "the disk of " + seen.name.str() + " has an undo snapshot, and grows only without one",
                    "'blockhost-libvirt snapshot keep " + seen.name.str() + "' makes it part of the disk");
    if (!is_alive(seen.domain->state) && !world.hypervisor().other_definitions(seen.name.str()).empty())
        throw Error(Code::wrong_state,
                    "the memory of " + seen.name.str() + " is saved, and knows its disk as it is now",
                    "start it first");
    return true;
}

/// Counts the room, and writes the header by which other operations count this one.
void admit(ConfigureOperation& op, JournalEntry& entry, const DomainSettings& now,
           std::int64_t disk_now_mib) {
    World& world = op.world;
    Claimed more{.name = op.seen.name};
    if (op.settings.memory_mib && *op.settings.memory_mib > now.memory_mib.value_or(0))
        more.memory_mib = *op.settings.memory_mib;
    if (op.disk_mib > disk_now_mib)
        more.disk_gib = (op.disk_mib - disk_now_mib + mib_in_gib - 1) / mib_in_gib;
    const auto begin = [&] {
        entry.begin(world.next_operation(), std::string(to_string(Verb::configure)), to_json(op));
    };
    if (more.memory_mib == 0 && more.disk_gib == 0) return begin();
    const FileLock admission = world.journal.take_admission(Deadline::in(20s), Interruption());
    check_room(world, more);
    begin();
}

} // namespace

std::filesystem::path first_disk(const World& world, const Observation& seen) {
    const std::filesystem::path disk = seen.facts.disks.empty() ? "" : seen.facts.disks.front();
    if (!disk.empty() && world.paths.state.is_same(disk.parent_path(), world.storage) &&
        disk_proof(world, seen.name, disk.filename().string()) != DiskProof::none)
        return disk;
    throw Error(Code::wrong_state,
                disk.empty() ? seen.name.str() + " has no disk"
                             : disk.string() + " is not provably the disk of " + seen.name.str(),
                "a disk of this program's making lies in " + world.storage.string());
}

void require_fits_host(World& world, const DomainSettings& settings) {
    if (settings.cpus && (*settings.cpus < limits::cpus_min || *settings.cpus > limits::cpus_max))
        throw Error(Code::invalid,
                    fmt::format("a VM has {} to {} processors", limits::cpus_min, limits::cpus_max));
    if (settings.memory_mib && *settings.memory_mib < limits::memory_min_mib)
        throw Error(Code::invalid, fmt::format("a VM has at least {} MiB of memory", limits::memory_min_mib));
    if (settings.cpus || settings.memory_mib)
        check_host_bounds(world, {.name = VmName("any"),
                                  .cpus = settings.cpus.value_or(0),
                                  .memory_mib = settings.memory_mib.value_or(0)});
}

Configured configure(World& world, const ConfigureRequest& request) {
    if (const auto refused = refusal_of(request.settings)) throw Error(*refused);
    require_mounted(world.paths);
    JournalEntry entry = take_entry(world, request.name, Journal::Manner::wait, Interruption());
    const Observation seen = observe(world, request.name);
    decide(seen, Verb::configure);
    if (!request.seen_digest.empty() && sha256(seen.domain->xml) != request.seen_digest)
        throw Error(Code::busy, "the configuration of " + request.name.str() + " changed meanwhile",
                    "look at it, and decide again");
    require_fits_host(world, request.settings);
    ConfigureOperation op{world, seen, request.settings};
    const DomainSettings now = read_settings(seen.domain->xml);
    only_changes(op.settings, now);
    const std::int64_t disk_now = request.disk_mib ? disk_of(world, seen) : 0;
    if (request.disk_mib && must_grow(world, seen, disk_now, *request.disk_mib))
        op.disk_mib = *request.disk_mib;
    if (op.settings == DomainSettings() && op.disk_mib == 0) return {};
    admit(op, entry, now, disk_now);
    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    run(op, entry, interruption);
    return {true, is_alive(seen.domain->state) && (op.settings.cpus || op.settings.memory_mib)};
}

namespace {

/// The journal is outside text: what no VM can have is closed.
void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    const Observation seen = observe(world, entry.name());
    const bool is_same = seen.domain && seen.proof != Proof::none && seen.record &&
                         seen.domain->uuid == json::string_or(left.parameters, "uuid", "");
    if (!is_same) return entry.end();
    Interruption never;
    never.ignore_from_now();
    ConfigureOperation op{world, seen, {}};
    try {
        op.settings = settings_from(json::object_in(left.parameters, "settings"));
        require_fits_host(world, op.settings);
        const auto disk = json::integer_in(left.parameters, "disk_mib");
        if (disk && *disk > 0 && *disk <= limits::disk_max_gib * mib_in_gib) op.disk_mib = *disk;
    } catch (const Error& error) {
        if (error.code() != Code::invalid) throw;
        world.progress.warn(entry.name().str() + " is not configured: " + error.message());
        return entry.end();
    }
    await_late_calls(world, left);
    run(op, entry, never);
}

} // namespace

constinit const OperationRow configure_operation{Verb::configure, Direction::roll_forward, names_of<steps>,
                                                 finish};

} // namespace blockhost::operations
