// SPDX-License-Identifier: MIT
/// Undoing, step by step: the overlay goes only when no definition names it.

#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "operations/snapshot/work.hpp"

#include "base/text/json.hpp"
#include "config/mounts.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

constexpr const char* ran = "ran";

struct UndoOperation {
    SnapshotWork work;
    bool ran = false; ///< when it began
    Undone end = Undone::off;
};

/// What the guest has not written yet is thrown away anyhow.
void power_off(UndoOperation& op) {
    power_off_with(op.work, op.work.overlay);
}

void restore_disk(UndoOperation& op) {
    switch_disk(op.work, op.work.lower, "its snapshot was undone");
}

void remove_overlay(UndoOperation& op) {
    delete_overlay(op.work);
}

void start_if_it_ran(UndoOperation& op) {
    if (op.ran && start_again(op.work)) op.end = Undone::running;
}

constexpr std::array<Step<UndoOperation>, 4> steps{{
    {"power-off", "forcing the domain off", power_off},
    {"restore-disk", "giving it its disk as it was", restore_disk, nullptr, Late::domain},
    {"delete-overlay", "deleting what was written since", remove_overlay},
    {"start-again", "starting it again", start_if_it_ran, nullptr, Late::running},
}};

/// Whether the next verb has nothing to finish after a failure: the VM has its disk with what was written
/// since, or all but its start was done. An overlay that nothing names is still to be deleted.
bool is_settled(const UndoOperation& op, const JournalEntry& entry) {
    const auto& started = entry.started();
    return (!started.empty() && started.back() == steps.back().name) ||
           sides_with(op.work, op.work.overlay).any();
}

/// A call that may still be carried out leaves the entry open.
void run(UndoOperation& op, JournalEntry& entry) {
    Interruption never;
    never.ignore_from_now();
    try {
        run_forward<UndoOperation>(steps, op, entry, never, op.work.world);
    } catch (const Error& error) {
        if (is_lost_connection(error) || !is_settled(op, entry)) throw;
        if (op.ran) start_after_failure(op.work);
        entry.end();
        throw;
    }
    entry.end();
}

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    await_late_calls(world, left);
    const auto work = work_left(world, observe(world, entry.name()), left);
    if (!work) return entry.end();
    const auto value = json::member(left.parameters, ran);
    UndoOperation op{*work, value && value->is_bool() && value->get_bool()};
    run(op, entry);
}

} // namespace

constinit const OperationRow snapshot_undo_operation{Verb::snapshot_undo, Direction::roll_forward,
                                                     names_of<steps>, finish};

Undone undo_snapshot(World& world, const VmName& name) {
    require_mounted(world.paths);
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, Interruption());
    const Observation seen = observe(world, name);
    decide(seen, Verb::snapshot_undo);
    UndoOperation op{work_on(world, seen), is_alive(seen.domain->state)};
    if (is_half_kept(world, name, op.work.overlay))
        throw Error(Code::wrong_state,
                    fmt::format("the snapshot of {} is half kept: what was before is gone", name.str()),
                    fmt::format("'blockhost-libvirt snapshot keep {}' finishes that", name.str()));
    require_not_saved(world, seen);
    keep_definition(world, seen);
    auto parameters = to_json(op.work);
    parameters[ran] = op.ran;
    entry.begin(world.next_operation(), std::string(to_string(Verb::snapshot_undo)), parameters);
    run(op, entry);
    return op.end;
}

} // namespace blockhost::operations
