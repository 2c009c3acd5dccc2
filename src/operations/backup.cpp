// SPDX-License-Identifier: MIT
/// Backs up a VM, step by step. Of one that is off only its file is read.

#include "operations/backup.hpp"

#include "backup/catalogue.hpp"
#include "backup/completeness.hpp"
#include "backup/extract.hpp"
#include "backup/last_run.hpp"
#include "backup/manifest.hpp"
#include "backup/record.hpp"
#include "backup/repository.hpp"
#include "base/exceptions.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "operations/copy_folder.hpp"
#include "operations/live_disk.hpp"
#include "operations/recover.hpp"
#include "safety/planted_files.hpp"
#include "vm/disk_chain.hpp"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::operations {

namespace {

using backup::FrozenDisk;
using backup::LastRun;

/// A disk in the domain: its name there, and its file.
struct OwnDisk {
    std::string target;
    std::filesystem::path path;
};

struct BackupOperation {
    World& world;
    const Observation& seen;
    Interruption& interruption;
    const backup::Repository& repository;
    const backup::Settings& settings;
    const BackupProgress& progress;
    OperationId id;
    Uuid uuid;
    OwnDisk own;

    std::optional<LiveDisk> live = {}; ///< nothing: the VM is off
    std::optional<LastRun> last = {};
    FrozenDisk disk = {};
    std::string file = {};  ///< the disk's name in the storage folder
    std::string stamp = {}; ///< of that file, before it was looked at
    std::int64_t at = 0;
    std::optional<backup::Manifest> manifest = {};
    std::string snapshot = {};
    BackupEnd end = {};
    bool committed = false; ///< remembered as the last run

    const VmName& name() const { return seen.name; }
    std::function<void()> check() {
        return [this] {
            interruption.check();
            if (live) live->watch();
        };
    }
};

/// The disk that a create made. What else is attached is for those who attached it to save: it stays at a
/// destroy, too, and is told of.
OwnDisk own_disk(World& world, const Observation& seen) {
    std::optional<OwnDisk> own;
    std::string others;
    for (const DiskLayers& disk : disk_layers(seen.domain->xml)) {
        if (disk.files.empty()) continue;
        const std::filesystem::path path = disk.files.front();
        const bool is_own = world.paths.state.is_same(path.parent_path(), world.storage) &&
                            disk_proof(world, seen.name, path.filename().string()) != DiskProof::none;
        if (is_own && !own)
            own = {disk.target, path};
        else
            others += (others.empty() ? "" : ", ") + disk.target;
    }
    if (!own)
        throw Error(Code::wrong_state,
                    fmt::format("{} has no disk that this BlockHost made", seen.name.str()),
                    "attached disks are not backed up");
    if (!others.empty())
        world.progress.warn(fmt::format(
            "what is attached to {} besides its own disk is not in the backup: {}", seen.name.str(), others));
    return *own;
}

/// Changes whenever the file's content or head does. A VM that runs writes to it, and libvirt gives it to
/// QEMU's user.
std::string stamp_of(const World& world, const std::string& file) {
    const auto storage = world.storage_folder();
    const Fd fd = storage ? storage->open_file(file, O_RDONLY) : Fd();
    if (!fd)
        throw Error(Code::not_found, fmt::format("the disk {} is gone", (world.storage / file).string()),
                    "see whether its file system is mounted");
    struct stat found {};
    if (fstat(fd.get(), &found) != 0) throw errno_error("cannot look at", file, errno);
    return fmt::format("{}:{}:{}:{}.{:09}:{}.{:09}", found.st_dev, found.st_ino, found.st_size,
                       found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ctim.tv_sec,
                       found.st_ctim.tv_nsec);
}

void find_disk(BackupOperation& op) {
    World& world = op.world;
    safety::require_nothing_planted(world, op.seen.domain->xml);
    op.file = op.own.path.filename().string();
    op.disk.name = op.own.target;
    op.disk.file = world.storage / op.file;
    op.disk.bytes = qcow2_virtual_size(op.disk.file);
    if (!op.live) op.stamp = stamp_of(world, op.file);
}

void find_last(BackupOperation& op) {
    std::string why;
    op.last = backup::read_last_run(op.world.paths, op.name(), op.uuid, op.settings.repository_id, why);
    op.at = backup::time_of_run(std::chrono::nanoseconds(now().time_since_epoch()).count(), op.last);
    const auto is_listed = [&](const std::string& id) {
        const auto all = op.repository.snapshots();
        return std::ranges::find(all, id, &backup::Snapshot::id) != all.end();
    };
    if (op.last && !is_listed(op.last->snapshot)) {
        why = "the repository has it no more";
        op.last.reset();
    }
    if (!why.empty())
        op.world.progress.warn(fmt::format(
            "what is remembered of the last backup cannot be used ({}): all of the disk is read", why));
}

/// The version of the template under the disk, for the restore; empty for a file that is none.
std::string base_of(const BackupOperation& op) {
    const auto chain = backing_chain(op.world.storage / op.file);
    if (chain.empty() || !op.world.paths.templates.is(chain.back().parent_path())) return "";
    return chain.back().stem().string();
}

// reserve, freeze, begin, thaw

/// The record of writes tells of the disk as it is: one of another size was not written chunk by chunk.
CheckpointView last_checkpoint(const BackupOperation& op) {
    const backup::LastDisk* before = op.last ? op.last->disk(op.disk.name) : nullptr;
    if (before == nullptr || before->bytes != op.disk.bytes) return {};
    // QEMU looks for a record in the layers below, too, and finds there one that knows no write to the upper.
    if (!operation_of_volume(op.name(), op.file)) return {};
    return {op.last->checkpoint, op.last->checkpoint_xml};
}

void reserve(BackupOperation& op) {
    find_disk(op);
    find_last(op);
    if (op.live) op.live->reserve(op.disk.file, last_checkpoint(op));
}

void freeze(BackupOperation& op) {
    if (op.live) op.live->freeze();
}

void begin(BackupOperation& op) {
    if (!op.live) return;
    op.live->begin();
    const FrozenExport& frozen = op.live->frozen();
    op.disk.socket = frozen.socket;
    op.disk.bitmap = frozen.bitmap;
    if (!frozen.file.empty()) op.disk.file = frozen.file;
}

void thaw(BackupOperation& op) {
    if (op.live) op.live->thaw();
}

// look

/// What the disk holds. Of a VM that is off, the record of writes that a run left is in its file, if QEMU
/// ended well.
backup::DiskLook look_at(BackupOperation& op) {
    if (!op.live) op.disk.bitmap = last_checkpoint(op).name;
    if (op.live || op.disk.bitmap.empty()) return op.repository.look(op.disk, op.check());
    try {
        return op.repository.look(op.disk, op.check());
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        op.disk.bitmap.clear();
        op.world.progress.warn(fmt::format(
            "the record of what {} wrote since its last backup cannot be used, and all of the disk is read: "
            "{}",
            op.name().str(), error.message()));
    }
    return op.repository.look(op.disk, op.check());
}

void look(BackupOperation& op) {
    const backup::LastDisk* before = op.last ? op.last->disk(op.disk.name) : nullptr;
    if (before != nullptr && before->bytes == op.disk.bytes) op.disk.chunk_bytes = before->chunk_bytes;
    auto seen = look_at(op);
    op.disk.bytes = seen.bytes;
    op.disk.chunk_bytes = seen.chunk_bytes;
    const bool comparable =
        before != nullptr && before->bytes == seen.bytes && before->chunk_bytes == seen.chunk_bytes;
    if (comparable && !op.stamp.empty() && before->stamp == op.stamp)
        for (backup::ChunkLook& run : seen.looks) run.dirty = false;
    op.disk.times =
        backup::next_times(seen.looks, comparable ? before->times : std::vector<backup::TimedRun>{}, op.at);
    op.manifest = backup::Manifest{
        .vm = op.name(),
        .uuid = op.uuid,
        .instance = op.world.instance.str(),
        .operation = op.id.str(),
        .taken_at = now(),
        .consistency = op.live ? op.live->consistency() : backup::Consistency::off,
        .base = base_of(op),
        .disks = {{op.disk.name, op.disk.bytes, op.disk.chunk_bytes, backup::chunks_of(op.disk.times)}},
        .made_by = BLOCKHOST_VERSION};
}

// store

/// Nothing for what no create could have written.
std::optional<Username> username_of(const VmRecord& record) {
    try {
        return Username(record.username);
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::string record_of(const VmRecord& record, const DomainFacts& facts) {
    const auto mac = facts.macs.empty() ? std::nullopt : Mac::try_parse(text::lower(facts.macs.front()));
    if (!mac)
        throw Error(Code::wrong_state, record.name.str() + " has no network interface with an address",
                    "give it back the one that its create made");
    return backup::render(backup::Record{.name = record.name,
                                         .mac = *mac,
                                         .cpus = facts.cpus,
                                         .memory_mib = static_cast<std::int64_t>(facts.memory_mib),
                                         .status = record.status,
                                         .owner = record.owner,
                                         .username = username_of(record),
                                         .network_mode = record.network_mode,
                                         .ip = record.ip,
                                         .ipv6 = record.ipv6,
                                         .created_at = record.created_at,
                                         .expires_at = record.expires_at});
}

std::vector<std::pair<std::string, std::string>> files_of(const BackupOperation& op) {
    std::vector<std::pair<std::string, std::string>> files{
        {"manifest.json", render(*op.manifest)},
        {"domain.xml", op.seen.domain->xml},
        {"record.json", record_of(*op.seen.record, op.seen.facts)}};
    const auto seeds = op.world.paths.cloud_init.open();
    const auto seed = seeds ? seeds->sub(op.name().str()) : std::nullopt;
    for (const char* each : {"user-data", "network-config"})
        if (auto content = seed ? seed->read(each) : std::nullopt)
            files.emplace_back(each, std::move(*content));
    return files;
}

/// The id in full of the snapshot that this operation made; empty when there is none.
std::string made_by(const BackupOperation& op) {
    const backup::Catalogue catalogue(op.repository.snapshots());
    const auto& all = catalogue.all();
    const auto found = std::ranges::find(all, op.id, &backup::Backup::operation);
    return found == all.end() ? "" : found->id;
}

/// An append-only repository keeps it; it is not counted then, since it lacks what its manifest names.
void forget_incomplete(BackupOperation& op) {
    try {
        if (const std::string incomplete = made_by(op); !incomplete.empty())
            op.repository.forget({incomplete});
    } catch (const Error& error) {
        op.world.progress.warn(
            fmt::format("an incomplete snapshot may be left in the repository: {}", error.what()));
    }
}

/// What the check throws ends the store before there is a snapshot.
backup::Stored store_view(BackupOperation& op, const backup::View& view) {
    bool is_given_up = false;
    const auto check = [&, look = op.check()] {
        is_given_up = true;
        look();
        is_given_up = false;
    };
    try {
        const auto stored = op.repository.store(view,
                                                {.host = op.world.instance.str(),
                                                 .tags = backup::tags_of(op.name(), op.uuid, op.id),
                                                 .parent = op.last ? op.last->snapshot : "",
                                                 .progress = op.progress},
                                                check);
        if (!op.live && stamp_of(op.world, op.file) != op.stamp)
            throw Error(Code::wrong_state,
                        fmt::format("the disk of {} was written while it was read", op.name().str()),
                        "keep the VM off, and try again");
        return stored;
    } catch (const Error&) {
        if (!is_given_up) forget_incomplete(op);
        throw;
    }
}

void store(BackupOperation& op) {
    const CopyFolder copy(op.world, op.name(), op.repository, backup::data_bytes(op.manifest->disks.front()));
    const auto stored = store_view(op, {.disks = {op.disk},
                                        .files = files_of(op),
                                        .at = op.at,
                                        .mount_point = backup::make_mount_point(op.world.paths),
                                        .user = {},
                                        .copy_to = copy.path()});
    op.snapshot = stored.snapshot;
    op.end.stored_bytes = stored.bytes_added;
}

// commit

/// What the repository says it has is compared with the manifest: each chunk, and its size.
void require_complete(BackupOperation& op) {
    const backup::Comparison found = backup::compare(op.repository, op.snapshot, *op.manifest);
    if (found.snapshot.tag("op") != op.id.str())
        throw Error(Code::io, "the repository lists another backup than the one that it took",
                    "see 'blockhost-libvirt backup list', and try again");
    if (found.missing.empty()) {
        op.snapshot = found.snapshot.id;
        return;
    }
    forget_incomplete(op);
    throw Error(Code::io, fmt::format("the repository does not have all of the backup: {}", found.missing),
                "try again; if it stays, see 'blockhost-libvirt backup check'");
}

void commit(BackupOperation& op) {
    require_complete(op);
    CheckpointView checkpoint = op.live ? op.live->checkpoint() : last_checkpoint(op);
    backup::write_last_run(op.world.paths, op.name(),
                           {op.settings.repository_id,
                            op.snapshot,
                            op.uuid,
                            op.at,
                            {{op.disk.name, op.disk.bytes, op.disk.chunk_bytes, op.stamp, op.disk.times}},
                            std::move(checkpoint.name),
                            std::move(checkpoint.xml)});
    op.committed = true;
    op.interruption.ignore_from_now(); // what is left takes a moment
    op.end.snapshot = op.snapshot;
    op.end.disk_bytes = op.disk.bytes;
    for (const backup::TimedRun& each : op.disk.times) {
        op.end.chunks += each.run.count;
        if (each.at == op.at) op.end.chunks_read += each.run.count;
    }
    op.end.data_bytes = op.end.chunks * op.disk.chunk_bytes;
    op.end.consistency = op.manifest->consistency;
    if (op.live) op.end.frozen = op.live->held();
}

// end, tidy

void end(BackupOperation& op) {
    if (op.live) op.live->end();
}

void tidy(BackupOperation& op) {
    if (op.live) op.live->delete_checkpoints_but(checkpoint_of(op.id));
}

constexpr std::array<Step<BackupOperation>, 9> steps{{
    {"reserve", "looking for room, and for the last backup", reserve},
    {"freeze", "freezing the guest's file systems", freeze},
    {"begin", "freezing the disk", begin},
    {"thaw", "thawing the guest's file systems", thaw},
    {"look", "looking what the disk holds", look},
    {"store", "storing the disk", store},
    {"commit", "making sure that all of it is there", commit},
    {"end", "letting go of the disk", end},
    {"tidy", "deleting the checkpoint before", tidy},
}};

Uuid uuid_of(const Observation& seen) {
    const auto uuid = Uuid::try_parse(text::lower(seen.domain->uuid));
    if (!uuid)
        throw Error(Code::hypervisor, "libvirt tells no uuid of " + seen.name.str(), "see 'virsh domuuid'");
    return *uuid;
}

/// Undone before the run was remembered, and ended after it. The entry stays open for the next verb where
/// libvirt was silent, or the guest may be held still; whatever else fails does not keep the VM from being
/// worked on.
void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    const std::string target = json::string_or(left.parameters, "disk", "");
    if (target.empty()) return entry.end(); // it was off: nothing of it was changed
    const Observation seen = observe(world, entry.name());
    const bool is_same = seen.domain && seen.proof != Proof::none &&
                         seen.domain->uuid == json::string_or(left.parameters, "uuid", "");
    LiveDisk live(world, entry.name(), left.operation, target);
    live.take_over(left);
    const std::string checkpoint = checkpoint_of(left.operation);
    // Who died between the two lines has it in the file, which is root's.
    const bool is_committed = std::ranges::find(left.done, "commit") != left.done.end() ||
                              backup::remembered_checkpoint(world.paths, entry.name()) == checkpoint;
    const std::string in_flight = left.in_flight();
    const bool is_late = in_flight == "freeze" || in_flight == "begin";
    try {
        if (!is_same) {
            live.end();
        } else if (is_committed) {
            live.end();
            live.delete_checkpoints_but(checkpoint);
        } else {
            live.undo_late(is_late ? late_end(world, left) : Deadline::in(std::chrono::milliseconds(0)));
        }
    } catch (const Error& error) {
        if (is_lost_connection(error) || (!is_committed && live.may_hold_guest())) throw;
        world.progress.warn(fmt::format("what a backup of {} left: {}", entry.name().str(), error.what()));
    }
    entry.end();
}

/// The entry stays open when that fails, and where a call that was given up may still be carried out:
/// recovery goes on from there.
void give_up(BackupOperation& op, JournalEntry& entry, const Error& why) {
    op.interruption.ignore_from_now();
    if (op.committed) return;
    try {
        if (op.live) op.live->undo();
        if (!op.live || !is_lost_connection(why)) entry.end();
    } catch (const Error& error) {
        op.world.progress.warn(error.what());
    }
}

} // namespace

constinit const OperationRow backup_operation{Verb::backup, Direction::roll_back, names_of<steps>, finish};

BackupEnd back_up(World& world, const VmName& name, const backup::Repository& repository,
                  const backup::Settings& settings, const Interruption& interruption,
                  const BackupProgress& progress) {
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, interruption);
    const Observation seen = observe(world, name);
    decide(seen, Verb::backup);
    Interruption asked([&entry] { return entry.asked_to_give_up(); });
    BackupOperation op{world,
                       seen,
                       asked,
                       repository,
                       settings,
                       progress,
                       world.next_operation(),
                       uuid_of(seen),
                       own_disk(world, seen)};
    boost::json::object parameters{{"uuid", op.uuid.str()}};
    if (is_alive(seen.domain->state)) {
        op.live.emplace(world, name, op.id, op.own.target);
        parameters["disk"] = op.own.target;
    }
    entry.begin(op.id, std::string(to_string(Verb::backup)), parameters);
    try {
        run_forward<BackupOperation>(steps, op, entry, asked, world);
    } catch (const Error& error) {
        give_up(op, entry, error);
        throw;
    }
    entry.end();
    return op.end;
}

} // namespace blockhost::operations
