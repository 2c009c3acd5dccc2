// SPDX-License-Identifier: MIT
/// Keeping, step by step. From the first byte that is committed on, the disk below is no longer what was
/// before: that is noted first, so that nobody undoes to it.

#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "operations/snapshot/work.hpp"

#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "host/commit_overlay.hpp"
#include "hypervisor/simulated/disk_content.hpp"
#include "safety/planted_files.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr auto longest_commit = 6h;
constexpr auto between_looks = 200ms;

struct KeepOperation {
    SnapshotWork work;
    const Interruption& interruption;
    bool has_begun = false; ///< the block job, once
};

void note_keep(KeepOperation& op) {
    note_half_kept(op.work.world, op.work.name, op.work.overlay);
}

std::string progress_words(const BlockJob& job) {
    return fmt::format("{} of {}", text::human_bytes(job.done_bytes), text::human_bytes(job.all_bytes));
}

/// libvirt's job ends by itself when it cannot read or write.
void begin_job(KeepOperation& op) {
    if (op.has_begun)
        throw Error(
            Code::hypervisor,
            fmt::format("the commit of the snapshot of {} ended before all was written", op.work.vm()),
            fmt::format("see that {} has room, and /var/log/libvirt/qemu/{}.log; a repeat goes on",
                        op.work.world.storage.string(), op.work.vm()));
    op.work.hypervisor().commit_layer(op.work.vm(), op.work.target, op.work.path_of(op.work.lower).string());
    op.has_begun = true;
}

/// One look at the VM that runs, and what comes next; true when its disk is the lower file.
bool commit_running(KeepOperation& op) {
    Hypervisor& hypervisor = op.work.hypervisor();
    if (!sides_with(op.work, op.work.overlay).any() || sides_with(op.work, op.work.lower).elsewhere)
        return true;
    const auto job = hypervisor.block_job(op.work.vm(), op.work.target);
    if (!job) return begin_job(op), false;
    if (!job->commits)
        throw Error(
            Code::wrong_state, "libvirt is at work on the disk of " + op.work.vm(),
            fmt::format("let it end, or 'virsh blockjob {} {} --abort'", op.work.vm(), op.work.target));
    op.has_begun = true;
    if (job->ready) {
        hypervisor.end_block_job(op.work.vm(), op.work.target, JobEnd::pivot);
        op.has_begun = false;
        return false;
    }
    op.work.world.progress.detail(progress_words(*job));
    pause_for(between_looks);
    return false;
}

void commit_off(KeepOperation& op) {
    World& world = op.work.world;
    if (world.reality == Reality::simulated)
        return simulated::commit_content(op.work.path_of(op.work.overlay));
    const auto view = world.hypervisor().find(op.work.vm());
    if (view) safety::require_nothing_planted(world, view->xml);
    host::commit_overlay(op.work.path_of(op.work.overlay), [&] { op.interruption.check(); });
}

/// It may go off meanwhile, which ends libvirt's job.
void commit(KeepOperation& op) {
    for (const Deadline end = Deadline::in(longest_commit);;) {
        op.interruption.check();
        const auto state = op.work.hypervisor().state(op.work.vm());
        if (!state) throw Error(Code::not_found, "the domain of " + op.work.vm() + " is gone from libvirt");
        if (!is_alive(*state)) {
            if (sides_with(op.work, op.work.overlay).any()) commit_off(op);
            return;
        }
        if (commit_running(op)) return;
        if (end.passed())
            throw Error(Code::busy,
                        "the guest of " + op.work.vm() + " writes faster than its snapshot is kept",
                        "stop it, and keep the snapshot then");
    }
}

/// Also where the definition says so already: without what libvirt remembers of the chain.
void restore_disk(KeepOperation& op) {
    define_disk(op.work, op.work.lower);
}

void remove_overlay(KeepOperation& op) {
    delete_overlay(op.work);
}

constexpr std::array<Step<KeepOperation>, 4> steps{{
    {"note-keep", "noting that it is kept", note_keep},
    {"commit", "writing into the disk what was written since", commit, nullptr, Late::domain},
    {"restore-disk", "giving it its disk in one piece", restore_disk, nullptr, Late::domain},
    {"delete-overlay", "deleting the overlay", remove_overlay},
}};

/// A job that is left would keep others from the disk.
void abandon_job(KeepOperation& op) {
    try {
        op.work.hypervisor().end_block_job(op.work.vm(), op.work.target, JobEnd::abandon);
    } catch (const Error& error) {
        op.work.world.progress.warn(error.message());
    }
}

void run(KeepOperation& op, JournalEntry& entry) {
    try {
        run_forward<KeepOperation>(steps, op, entry, op.interruption, op.work.world);
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        if (op.has_begun) abandon_job(op);
        // An overlay that nothing names is still to be deleted: the next verb finishes that.
        if (sides_with(op.work, op.work.overlay).any()) entry.end();
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
    const Interruption asked([&entry] { return entry.asked_to_give_up(); });
    KeepOperation op{*work, asked};
    run(op, entry);
}

} // namespace

constinit const OperationRow snapshot_keep_operation{Verb::snapshot_keep, Direction::roll_forward,
                                                     names_of<steps>, finish};

namespace {

void keep(World& world, JournalEntry& entry, const Observation& seen) {
    const SnapshotWork work = work_on(world, seen);
    if (work.is_replaced) return delete_lower(work); // there is nothing to write into
    require_not_saved(world, seen);
    keep_definition(world, seen);
    const Interruption asked([&entry] { return entry.asked_to_give_up(); });
    KeepOperation op{work, asked};
    entry.begin(world.next_operation(), std::string(to_string(Verb::snapshot_keep)), to_json(work));
    run(op, entry);
}

} // namespace

void keep_snapshot(World& world, const VmName& name, const Interruption& interruption) {
    require_mounted(world.paths);
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, interruption);
    const Observation seen = observe(world, name);
    decide(seen, Verb::snapshot_keep);
    keep(world, entry, seen);
}

bool keep_due_snapshot(World& world, JournalEntry& entry) {
    require_mounted(world.paths);
    const Observation seen = observe(world, entry.name());
    decide(seen, Verb::snapshot_keep);
    const auto snapshot = undo_snapshot_of(world, seen);
    if (!snapshot || (snapshot->until > now() && !snapshot->half_kept)) return false;
    keep(world, entry, seen);
    return true;
}

} // namespace blockhost::operations
