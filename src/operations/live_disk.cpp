// SPDX-License-Identifier: MIT
#include "operations/live_disk.hpp"

#include "base/fault.hpp"
#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "guest/file_systems.hpp"
#include "guest/message.hpp"
#include "hypervisor/xml/runs_as.hpp"
#include "operations/bring_up.hpp"
#include "vm/disk_chain.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::string_view prefix = "bh-";
constexpr auto freeze_span = 10s, thaw_span = 5s;
constexpr int thaws = 2;                 ///< tries, before it is said that the guest does not let go
constexpr auto reconnect_patience = 30s; ///< libvirtd may be starting anew
constexpr std::chrono::milliseconds poll = 200ms, watch_period = 1s;
constexpr std::uint64_t reserve_percent = 10; ///< of the file system; a small disk needs less
constexpr std::uint64_t of_the_reserve = 4;   ///< the backup is given up below this part of it
constexpr const char* sockets = "backup-nbd"; ///< in root's cache
constexpr std::string_view scratch_suffix = ".scratch";

bool is_silent(const Error& error) {
    return error.message().find("not connected") != std::string::npos ||
           error.message().find("not configured") != std::string::npos;
}

} // namespace

std::string checkpoint_of(const OperationId& operation) {
    return std::string(prefix) + operation.str();
}

LiveDisk::LiveDisk(World& world, VmName name, OperationId operation, std::string target)
    : world_(world), name_(std::move(name)), operation_(std::move(operation)), target_(std::move(target)) {}

std::filesystem::path LiveDisk::socket_folder() const {
    return world_.paths.cache / sockets / name_.str();
}

/// Beside the disks: QEMU sees no file system that was mounted after its start.
std::string LiveDisk::scratch_name() const {
    return fmt::format("{}.{}{}", name_.str(), operation_.str(), scratch_suffix);
}

namespace {

bool is_ours(const World& world, const std::string& socket) {
    return std::filesystem::path(socket).parent_path().parent_path() == world.paths.cache / sockets;
}

} // namespace

void end_backup_job(World& world, const VmName& name) {
    const auto socket = world.hypervisor().backup_under_way(name.str());
    if (socket && is_ours(world, *socket)) world.hypervisor().end_backup(name.str());
}

bool LiveDisk::is_alive_now() {
    const auto state = world_.hypervisor().state(name_.str());
    return state && is_alive(*state);
}

std::string LiveDisk::ask_agent(const std::string& command, std::chrono::seconds span) {
    return world_.hypervisor().agent(name_.str(), command, static_cast<int>(span.count()));
}

// reserve

namespace {

void require_room(const Folder& storage, const std::filesystem::path& path, std::uint64_t reserved,
                  std::uint64_t wanted, std::string_view what) {
    const auto room = files::room_on(storage.fd(), path.string());
    if (room.free >= wanted) return;
    throw Error(Code::no_room,
                fmt::format("{} has {} of room, and {} {}", path.string(), text::human_bytes(room.free), what,
                            text::human_bytes(reserved)),
                "make room there, or back the VM up while it is off");
}

/// QEMU makes the socket, and nobody but its user and root may come near it: who can open it reads the whole
/// disk.
void make_socket_folder(World& world, const VmName& name) {
    const Paths& paths = world.paths;
    Folder::open_or_make(paths.cache.parent_path(), 0755);
    const Folder own =
        Folder::open_or_make(paths.cache, 0711).make_sub(sockets, 0711).make_sub(name.str(), 0700);
    const auto running = world.hypervisor().other_definitions(name.str());
    if (world.reality == Reality::simulated) return;
    const auto user = running.empty() ? std::nullopt : runs_as(running.front());
    if (!user)
        throw Error(Code::hypervisor, "libvirt does not tell as which user " + name.str() + " runs",
                    "look at the <seclabel> of model 'dac' in 'virsh dumpxml " + name.str() + "'");
    if (fchown(own.fd(), user->uid, user->gid) != 0)
        throw errno_error("cannot give away", own.path().string(), errno);
}

} // namespace

void LiveDisk::reserve(const std::filesystem::path& disk, const CheckpointView& last) {
    Hypervisor& hypervisor = world_.hypervisor();
    if (const auto power = hypervisor.power(name_.str()); power && is_trouble(*power))
        throw Error(Code::wrong_state, power_sentence(hypervisor, name_.str(), *power), "see to that first");
    const auto socket = hypervisor.backup_under_way(name_.str());
    if (socket && !is_ours(world_, *socket))
        throw Error(Code::busy, fmt::format("another program is backing up {}", name_.str()),
                    "wait for its end; 'virsh domjobabort' ends it");
    end(); // what an earlier operation left
    const auto storage = world_.storage_folder();
    if (!storage) throw Error(Code::not_found, world_.storage.string() + " is missing");
    const auto volume = hypervisor.find_volume(disk.string());
    const auto part = files::room_on(storage->fd(), world_.storage.string()).all / 100 * reserve_percent;
    reserved_ = volume ? std::min(volume->capacity_bytes, part) : part;
    require_room(*storage, world_.storage, reserved_, reserved_,
                 "what the guest overwrites while it is backed up may take");
    const auto known = hypervisor.checkpoints(name_.str());
    since_ = last.name;
    if (!since_.empty() && std::ranges::find(known, since_, &CheckpointView::name) == known.end()) {
        try {
            hypervisor.restore_checkpoint(name_.str(), last);
        } catch (const Error& error) {
            if (is_lost_connection(error)) throw;
            since_.clear();
            world_.progress.warn(
                fmt::format("what {} wrote since its last backup is not on record: all of the disk is read",
                            name_.str()));
        }
    }
    make_socket_folder(world_, name_);
}

// freeze, begin, thaw

void LiveDisk::freeze() {
    const auto without = [&](const std::string& why) {
        world_.progress.warn(
            fmt::format("the file systems of {} are not frozen, so that the backup is as after "
                        "a loss of power: {}",
                        name_.str(), why));
    };
    if (world_.hypervisor().state(name_.str()) != PowerState::running) return without("it is paused");
    still_since_ = steady_clock::now();
    asked_to_freeze_ = may_be_frozen_ = true;
    try {
        const auto count =
            guest::freeze([this](const std::string& command) { return ask_agent(command, freeze_span); });
        is_still_ = was_still_ = count > 0;
        if (!is_still_) without("its agent found none");
    } catch (const Error& error) {
        if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
        without(error.message());
    }
}

void LiveDisk::begin() {
    BackupSpec spec{.disk = target_,
                    .socket = (socket_folder() / "s").string(),
                    .scratch = (world_.storage / scratch_name()).string(),
                    .checkpoint = checkpoint_of(operation_),
                    .since = since_};
    begun_ = may_be_paused_ = true;
    try {
        export_ = world_.hypervisor().begin_backup(name_.str(), spec);
        return;
    } catch (const Error& error) {
        if (is_lost_connection(error) || spec.since.empty()) throw;
        world_.progress.warn(fmt::format("the record of what {} wrote since its last backup cannot be used, "
                                         "and all of the disk is read: {}",
                                         name_.str(), error.message()));
    }
    spec.since.clear();
    export_ = world_.hypervisor().begin_backup(name_.str(), spec);
}

void LiveDisk::warn_of_frozen(const Error& error) {
    world_.progress.warn(
        fmt::format("the file systems of {} may be frozen still: {}; 'virsh domfsthaw {}' thaws "
                    "them, and a restart of the VM does",
                    name_.str(), error.message(), name_.str()));
}

void LiveDisk::thaw_whatever() {
    for (int tries = 1;; ++tries) {
        try {
            return guest::thaw([this](const std::string& command) { return ask_agent(command, thaw_span); });
        } catch (const Error& error) {
            if (error.code() != Code::guest && error.code() != Code::wrong_state) throw;
            if (!is_alive_now()) return;
            // An agent that was never there cannot have frozen anything.
            if (!is_still_ && is_silent(error)) return;
            if (tries < thaws) continue;
            if (is_still_ || guest::is_silence(error)) warn_of_frozen(error);
            return;
        }
    }
}

void LiveDisk::thaw() {
    if (!asked_to_freeze_) return;
    thaw_whatever();
    if (is_still_) held_ = std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - still_since_);
    asked_to_freeze_ = may_be_frozen_ = is_still_ = false;
}

CheckpointView LiveDisk::checkpoint() const {
    const std::string name = checkpoint_of(operation_);
    for (const CheckpointView& each : world_.hypervisor().checkpoints(name_.str()))
        if (each.name == name) return {name, without_parent(each.xml)};
    return {};
}

backup::Consistency LiveDisk::consistency() const {
    return was_still_ ? backup::Consistency::frozen : backup::Consistency::crash;
}

// store

void LiveDisk::watch() {
    if (export_.socket.empty() && export_.file.empty()) return;
    const auto now = steady_clock::now();
    if (now - watched_ < watch_period) return;
    watched_ = now;
    try {
        look_for_trouble();
    } catch (const Error& error) {
        if (!is_lost_connection(error)) throw;
        try { // QEMU serves the disk, whatever becomes of libvirt
            world_.reconnect(0s);
        } catch (const Error&) {
        }
    }
}

namespace {

void require_going_on(World& world, const VmName& name) {
    const auto power = world.hypervisor().power(name.str());
    if (power && power->state == PowerState::paused && power->reason == reason::io_error)
        throw Error(Code::no_room,
                    fmt::format("{}; the backup is given up, so that the guest runs on",
                                power_sentence(world.hypervisor(), name.str(), *power)),
                    "make room in " + world.storage.string());
    if (!power || !is_alive(power->state))
        throw Error(Code::wrong_state, fmt::format("{} went off while it was backed up", name.str()),
                    "back it up again");
}

} // namespace

void LiveDisk::look_for_trouble() {
    if (const auto storage = world_.storage_folder())
        require_room(*storage, world_.storage, reserved_, reserved_ / of_the_reserve,
                     "the backup is given up, so that the guest runs on: it may need");
    require_going_on(world_, name_);
    if (world_.hypervisor().backup_under_way(name_.str())) return;
    require_going_on(world_, name_); // it may have gone off between the two looks
    throw Error(Code::interrupted, fmt::format("somebody ended the backup of {}", name_.str()),
                "back it up again");
}

// end

void LiveDisk::end_job() {
    if (is_alive_now()) end_backup_job(world_, name_);
}

/// Those of earlier operations too. libvirt syncs nothing: what it removed must not come back with the next
/// loss of power, when the VM may be gone.
void LiveDisk::remove_scratch() {
    const auto storage = world_.storage_folder();
    if (!storage) return;
    for (const std::string& file : storage->names()) {
        const auto whose = disk_name(file);
        if (whose && whose->vm == name_ && whose->operation.of(world_.instance) &&
            file.ends_with(scratch_suffix))
            storage->remove(file);
    }
    storage->sync();
}

void LiveDisk::end() {
    try {
        end_job();
    } catch (const Error& error) {
        if (!is_lost_connection(error)) throw;
        world_.reconnect(reconnect_patience);
        end_job();
    }
    try {
        remove_scratch();
    } catch (const Error& error) {
        world_.progress.warn(error.what()); // the next backup removes it
    }
    try {
        const auto cache = Folder::open(world_.paths.cache);
        const auto all = cache ? cache->sub(sockets) : std::nullopt;
        if (all) all->remove_tree(name_.str());
    } catch (const Error& error) {
        world_.progress.detail(error.what()); // it is root's, and the next backup removes it
    }
}

/// A bitmap that is missing or in another file keeps a checkpoint from being deleted: then only libvirt's
/// knowledge of it goes.
void LiveDisk::delete_checkpoint(const std::string& checkpoint) {
    Hypervisor& hypervisor = world_.hypervisor();
    try {
        hypervisor.delete_checkpoint(name_.str(), checkpoint, Hypervisor::CheckpointPart::all);
    } catch (const Error& error) {
        if (is_lost_connection(error) || error.code() == Code::not_found) throw;
        if (!is_alive_now()) return; // it is deleted in the next run
        hypervisor.delete_checkpoint(name_.str(), checkpoint, Hypervisor::CheckpointPart::knowledge);
    }
}

void LiveDisk::delete_checkpoints_but(const std::string& kept) {
    for (const CheckpointView& each : world_.hypervisor().checkpoints(name_.str())) {
        if (each.name == kept || !each.name.starts_with(prefix)) continue;
        try {
            delete_checkpoint(each.name);
        } catch (const Error& error) {
            if (is_lost_connection(error)) throw;
            world_.progress.warn(error.what());
        }
    }
}

/// A guest that found no room is paused; the job's end gave it some. Its agent could not thaw it before.
void LiveDisk::let_run() {
    const auto power = world_.hypervisor().power(name_.str());
    if (!power || power->state != PowerState::paused || power->reason != reason::io_error) return;
    try {
        world_.hypervisor().unpause(name_.str());
        if (asked_to_freeze_) thaw_at_last();
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        world_.progress.warn(
            fmt::format("{} is paused, and could not be let run on: {}", name_.str(), error.what()));
    }
}

void LiveDisk::delete_own_checkpoint() {
    try {
        delete_checkpoint(checkpoint_of(operation_));
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        world_.progress.warn(error.what()); // the next backup deletes it
    }
}

/// What keeps failing must not keep the VM from being worked on: it may be about to be destroyed.
void LiveDisk::thaw_at_last() {
    for (int tries = 1;; ++tries) {
        try {
            return thaw_whatever();
        } catch (const Error& error) {
            if (is_lost_connection(error)) throw;
            if (tries == thaws) return warn_of_frozen(error);
        }
    }
}

/// The guest is let run even where the rest of it cannot be undone.
void LiveDisk::undo() {
    try {
        is_alive_now();
    } catch (const Error& error) {
        if (!is_lost_connection(error)) throw;
        world_.reconnect(reconnect_patience);
    }
    if (!is_alive_now()) {
        may_be_frozen_ = may_be_paused_ = false;
        return end();
    }
    if (asked_to_freeze_ && !fault::left_out("revert", "freeze")) thaw_at_last();
    may_be_frozen_ = false;
    std::optional<Error> failure;
    try {
        end();
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        failure = error;
    }
    if (begun_ && !fault::left_out("revert", "begin")) {
        let_run();
        may_be_paused_ = false;
        delete_own_checkpoint();
    }
    if (failure) throw *failure;
}

void LiveDisk::take_over(const EntryView& left) {
    const auto has = [](const std::vector<std::string>& steps, std::string_view step) {
        return std::ranges::find(steps, step) != steps.end();
    };
    asked_to_freeze_ = may_be_frozen_ = has(left.started, "freeze") && !has(left.done, "thaw");
    begun_ = may_be_paused_ = has(left.started, "begin");
}

void LiveDisk::undo_late(const Deadline& late) {
    for (undo(); !late.passed(); undo()) pause_for(poll);
}

} // namespace blockhost::operations
