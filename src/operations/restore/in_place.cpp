// SPDX-License-Identifier: MIT
/// Restoring in place, step by step: the VM runs until the new disk is whole.

#include "operations/restore/in_place.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "config/templates.hpp"
#include "operations/admission.hpp"
#include "operations/bring_up.hpp"
#include "operations/create/settings.hpp"
#include "operations/recover.hpp"
#include "operations/restore/contents.hpp"
#include "operations/snapshot/work.hpp"
#include "operations/wait_for_guest.hpp"
#include "safety/planted_files.hpp"
#include "safety/start.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr const char* starts = "starts";

/// What only a live restore has.
struct Making {
    const backup::Repository& repository;
    const backup::Backup& backup;
    const Contents& contents;
    const Interruption& interruption;
    Instant taken, until;
    bool on_template = true;
};

struct InPlaceOperation {
    JournalEntry& entry;
    SnapshotWork work;
    bool starts = false;      ///< in the end
    Making* making = nullptr; ///< null in recovery
    bool runs = false;
};

// make-disk, fill-disk

/// The template is noted before the disk is asked for: libvirt may make the disk after our death.
void make_disk(InPlaceOperation& op) {
    World& world = op.work.world;
    const FileLock kept =
        hold_templates(world.paths, FileLock::Mode::shared, Deadline::in(60s), op.making->interruption);
    const std::string image = former_template(world, op.making->contents.manifest.base).string();
    op.entry.note({{template_note, image}});
    op.making->on_template = !image.empty();
    world.hypervisor().create_volume(world.pool, {op.work.overlay, op.making->contents.disk().bytes, image});
    world.sync_volumes();
}

void remove_disk(InPlaceOperation& op) {
    delete_overlay(op.work);
}

void fill_disk(InPlaceOperation& op) {
    backup::fill_disk(op.making->repository, op.making->backup, op.making->contents.manifest,
                      op.work.path_of(op.work.overlay),
                      op.making->on_template ? backup::StandsOn::another_image : backup::StandsOn::nothing,
                      [&] { op.making->interruption.check(); });
    op.work.world.sync_volumes();
}

// note-disk, power-off, switch-disk, start-again

void note_disk(InPlaceOperation& op) {
    note_replaced_disk(op.work.world, op.work.name,
                       {op.work.lower, op.work.overlay, op.making->taken, op.making->until});
}

void power_off(InPlaceOperation& op) {
    power_off_with(op.work, op.work.lower);
}

void switch_to_new(InPlaceOperation& op) {
    switch_disk(op.work, op.work.overlay, "it was restored");
}

void start_if_it_ran(InPlaceOperation& op) {
    if (!op.starts) return;
    op.work.hypervisor().watch(op.work.vm());
    op.runs = start_again(op.work);
}

constexpr std::array<Step<InPlaceOperation>, 6> steps{{
    {"make-disk", "making the new disk", make_disk, remove_disk, Late::volume, true},
    {"fill-disk", "restoring the disk", fill_disk},
    {"note-disk", "noting which disk is kept", note_disk},
    {"power-off", "forcing the domain off", power_off},
    {"switch-disk", "giving it the restored disk", switch_to_new, nullptr, Late::domain},
    {"start-again", "starting it again", start_if_it_ran, nullptr, Late::running},
}};

/// Ends the entry: with the restored disk, or with the disk as it was and nothing of the other. What ran
/// runs again.
bool settle(InPlaceOperation& op, JournalEntry& entry, const std::vector<std::string>& started) {
    const bool has_new = has_overlay(op.work);
    if (!has_new) run_back<InPlaceOperation>(steps, op, started, op.work.world.progress);
    const bool was_off = std::ranges::find(started, "power-off") != started.end();
    if (op.starts && was_off) start_after_failure(op.work);
    entry.end();
    return has_new;
}

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    await_late_calls(world, left);
    const auto work = work_left(world, observe(world, entry.name()), left);
    if (!work) return entry.end();
    InPlaceOperation op{entry, *work, json::is_true(left.parameters, starts)};
    settle(op, entry, left.started);
}

// before the first step

void require_same_vm(const Observation& seen, const backup::Backup& backup, const Contents& contents) {
    if (text::lower(seen.domain->uuid) == contents.manifest.uuid.str()) return;
    throw Error(Code::wrong_state,
                fmt::format("backup {} is of an earlier VM named {}", backup.short_id(), seen.name.str()),
                "'--as NEW' restores it beside this one");
}

/// Counts the room, and writes the header by which other operations count this one.
void admit(InPlaceOperation& op, const OperationId& id) {
    const FileLock admission =
        op.work.world.journal.take_admission(Deadline::in(20s), op.making->interruption);
    check_room(op.work.world,
               {.name = op.work.name, .written_bytes = backup::data_bytes(op.making->contents.disk())});
    auto parameters = to_json(op.work);
    parameters[starts] = op.starts;
    op.entry.begin(id, std::string(to_string(Verb::restore_in_place)), parameters);
}

void run(InPlaceOperation& op) {
    try {
        run_forward<InPlaceOperation>(steps, op, op.entry, op.making->interruption, op.work.world);
        op.entry.end();
    } catch (const Error& error) {
        if (is_lost_connection(error) || !settle(op, op.entry, op.entry.started())) throw;
        op.work.world.progress.warn(error.message());
    }
}

/// Its owner may have removed the agent: a guest that is silent is told of.
bool answers(World& world, const VmName& name, std::chrono::seconds limit) {
    try {
        await_agent(world, name, world.paths.consoles, limit, Interruption());
        return true;
    } catch (const Error& error) {
        if (error.code() != Code::guest) throw;
        world.progress.warn(error.message());
        return false;
    }
}

} // namespace

constinit const OperationRow restore_in_place_operation{Verb::restore_in_place, Direction::roll_back,
                                                        names_of<steps>, finish};

InPlaceResult restore_in_place(World& world, const backup::Repository& repository,
                               const backup::Backup& backup, const InPlaceRequest& request) {
    const Contents contents = read_contents(repository, backup);
    require_mounted(world.paths);
    InPlaceResult result{.name = backup.vm, .until = {}};
    {
        JournalEntry entry = take_entry(world, backup.vm, Journal::Manner::wait, Interruption());
        const Observation seen = observe(world, backup.vm);
        decide(seen, Verb::restore_in_place);
        require_same_vm(seen, backup, contents);
        require_snapshot_is_possible(world, seen);
        keep_definition(world, seen);

        const Interruption asked([&entry] { return entry.asked_to_give_up(); });
        const Instant taken = std::chrono::floor<std::chrono::seconds>(now());
        Making making{repository, backup, contents, asked, taken, taken + request.undoable};
        const OperationId id = world.next_operation();
        InPlaceOperation op{entry, work_for(world, seen, volume_name(backup.vm, id)),
                            is_alive(seen.domain->state) && !request.stay_off, &making};
        op.work.is_replaced = true;
        admit(op, id);
        run(op);
        if (request.stay_off) safety::keep_off(world, backup.vm);
        result.until = making.until;
        result.on_template = making.on_template;
        result.runs = op.runs;
    }
    result.guest_answers = result.runs && answers(world, backup.vm, request.ready_timeout);
    return result;
}

} // namespace blockhost::operations
