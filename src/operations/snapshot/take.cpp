// SPDX-License-Identifier: MIT
/// Taking an undo snapshot, step by step: the overlay is there before the disk becomes it.

#include "operations/admission.hpp"
#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "operations/snapshot/work.hpp"

#include "config/mounts.hpp"
#include "hypervisor/files/qcow2.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

struct TakeOperation {
    SnapshotWork work;
    std::uint64_t disk_bytes = 0;
};

void make_overlay(TakeOperation& op) {
    World& world = op.work.world;
    world.hypervisor().create_volume(
        world.pool, {op.work.overlay, op.disk_bytes, op.work.path_of(op.work.lower).string()});
    world.sync_volumes();
}

void remove_overlay(TakeOperation& op) {
    delete_overlay(op.work);
}

/// One that goes on or off right now is refused by libvirt, and the snapshot taken back.
void switch_disk(TakeOperation& op) {
    const auto state = op.work.hypervisor().state(op.work.vm());
    if (!state || !is_alive(*state)) return define_disk(op.work, op.work.overlay);
    op.work.hypervisor().add_layer(op.work.vm(), op.work.target, op.work.path_of(op.work.overlay).string());
    if (!sides_with(op.work, op.work.overlay).defined)
        throw Error(Code::hypervisor,
                    "libvirt says that it put an overlay on the disk of " + op.work.vm() +
                        ", whose definition says otherwise",
                    "look at 'virsh domblklist " + op.work.vm() + "'");
}

constexpr std::array<Step<TakeOperation>, 2> steps{{
    {"make-overlay", "making the overlay", make_overlay, remove_overlay, Late::volume},
    {"switch-disk", "putting it on the disk", switch_disk, nullptr, Late::domain},
}};

/// Ends the entry: with the whole snapshot, or with nothing of it.
bool settle(TakeOperation& op, JournalEntry& entry, const std::vector<std::string>& started) {
    const bool taken = has_overlay(op.work);
    if (!taken) run_back<TakeOperation>(steps, op, started, op.work.world.progress);
    entry.end();
    return taken;
}

/// A tenth of the disk: an overlay may grow to all of it, and seldom does in the time that it has.
Claimed room_for(const TakeOperation& op) {
    constexpr std::uint64_t gib = 1ull << 30, share = 10;
    const std::uint64_t bytes = op.disk_bytes / share;
    return {.name = op.work.name, .disk_gib = static_cast<std::int64_t>((bytes + gib - 1) / gib)};
}

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    await_late_calls(world, left);
    const auto work = work_left(world, observe(world, entry.name()), left);
    if (!work) return entry.end();
    TakeOperation op{*work};
    settle(op, entry, left.started);
}

} // namespace

constinit const OperationRow snapshot_take_operation{Verb::snapshot_take, Direction::roll_back,
                                                     names_of<steps>, finish};

UndoSnapshot take_snapshot(World& world, const VmName& name, std::chrono::seconds span) {
    require_mounted(world.paths);
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, Interruption());
    const Observation seen = observe(world, name);
    decide(seen, Verb::snapshot_take);
    require_snapshot_is_possible(world, seen);
    keep_definition(world, seen);
    const Instant taken = std::chrono::floor<std::chrono::seconds>(now());
    const UndoName overlay{name, world.next_operation(), taken, taken + span};
    TakeOperation op{work_for(world, seen, file_name(overlay))};
    op.disk_bytes = qcow2_virtual_size(op.work.path_of(op.work.lower));
    {
        const FileLock admission = world.journal.take_admission(Deadline::in(20s), Interruption());
        check_room(world, room_for(op));
        entry.begin(overlay.operation, std::string(to_string(Verb::snapshot_take)), to_json(op.work));
    }
    const Interruption asked([&entry] { return entry.asked_to_give_up(); });
    try {
        run_forward<TakeOperation>(steps, op, entry, asked, world);
        entry.end();
    } catch (const Error& error) {
        if (is_lost_connection(error) || !settle(op, entry, entry.started())) throw;
    }
    return {op.work.target, op.work.overlay, overlay.taken, overlay.until};
}

} // namespace blockhost::operations
