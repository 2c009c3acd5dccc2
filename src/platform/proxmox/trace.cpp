// SPDX-License-Identifier: MIT
// A change whose answer got lost, found again: by the tasks that the node began since the note was made, else
// by the guest itself.
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/proxmox/before.hpp"
#include "platform/proxmox/local.hpp"
#include "platform/proxmox/proxmox.hpp"
#include "platform/proxmox/task.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::platform::proxmox {

namespace {

namespace bj = boost::json;

/// A copy of a template is its template's task.
constexpr std::string_view of_template = "qmclone";

/// The types of task that a node begins for an action, by its own names (pve-manager, Utils.js).
struct TaskTypes {
    ActionKind action;
    std::vector<std::string_view> of_vms, of_containers;
};

const std::vector<std::string_view>& task_types(ActionKind action, Kind kind) {
    static const std::vector<TaskTypes> table{
        {ActionKind::start, {"qmstart"}, {"vzstart"}},
        {ActionKind::stop, {"qmshutdown", "qmstop"}, {"vzshutdown", "vzstop"}},
        {ActionKind::resume, {"qmresume"}, {"vzresume"}},
        {ActionKind::set_config, {"qmconfig"}, {}}, // a container's is done at once
        {ActionKind::grow, {"resize"}, {"resize"}},
        {ActionKind::create, {"qmrestore"}, {"vzrestore"}},
        {ActionKind::snapshot, {"qmsnapshot"}, {"vzsnapshot"}},
        {ActionKind::rollback, {"qmrollback"}, {"vzrollback"}},
        {ActionKind::delete_snapshot, {"qmdelsnapshot"}, {"vzdelsnapshot"}},
        {ActionKind::backup, {"vzdump"}, {"vzdump"}},
        {ActionKind::restore, {"qmrestore"}, {"vzrestore"}},
        {ActionKind::delete_backup, {"imgdel"}, {"imgdel"}},
        {ActionKind::destroy, {"qmdestroy"}, {"vzdestroy"}},
        {ActionKind::set_features, {}, {}}, // done at once, as what is done to storage
    };
    const auto row = std::ranges::find(table, action, &TaskTypes::action);
    if (row == table.end()) throw Error(Code::internal, "an action without types of tasks");
    return kind == Kind::vm ? row->of_vms : row->of_containers;
}

bool is_new(const Upid& task, const Before& before) {
    if (task.started != before.newest_task) return task.started > before.newest_task;
    return std::ranges::find(before.tasks, task.text) == before.tasks.end();
}

/// Whether everything that was to be changed is, in normal form.
bool has(const GuestConfig& config, const SetConfig& change) {
    const auto is = [](const auto& wanted, const auto& found) { return !wanted || *wanted == found; };
    bj::object texts;
    if (change.description) texts["description"] = *change.description;
    if (change.tags) texts["tags"] = text::join({change.tags->begin(), change.tags->end()}, ";");
    const GuestConfig wanted = config_of(texts, Kind::vm);
    return is(change.name, config.name) && is(change.cpus, config.cpus) &&
           is(change.memory_mib, config.memory_mib) && is(change.start_on_boot, config.start_on_boot) &&
           is(change.is_protected, config.is_protected) &&
           (!change.description || wanted.description == config.description) &&
           (!change.tags || wanted.tags == config.tags);
}

/// The creation time of the newest backup with these notes, in seconds since 1970; 0 when there is none. A
/// backup with other notes was not made by this operation.
std::int64_t newest_with(const std::string& notes, const std::vector<BackupVolume>& all) {
    std::int64_t newest = 0;
    for (const BackupVolume& volume : all)
        if (!notes.empty() && volume.notes == notes) newest = std::max(newest, volume.made);
    return newest;
}

bool makes_guest(const Action& action) {
    return std::holds_alternative<Create>(action) || std::holds_alternative<Restore>(action);
}

/// The target with the id that a note found for it, where it names none.
Target meant(const Target& wanted, const GuestId& new_guest) {
    return {wanted.guest.empty() ? new_guest : wanted.guest, wanted.incarnation};
}

} // namespace

Note written(const Before& before) {
    return json::python_line(bj::object{{"newest_task", before.newest_task},
                                        {"tasks", bj::array(before.tasks.begin(), before.tasks.end())},
                                        {"newest_backup", before.newest_backup},
                                        {"backups", bj::array(before.backups.begin(), before.backups.end())},
                                        {"new_guest", before.new_guest},
                                        {"had_snapshot", before.had_snapshot}});
}

Before read_note(const Note& note) {
    const bj::value told = json::parse(note, "an action's note");
    if (!told.is_object()) throw Error(Code::internal, "an action's note is no object");
    const bj::object& object = told.get_object();
    return {number(object, "newest_task").value_or(0),   json::strings_in(object, "tasks"),
            number(object, "newest_backup").value_or(0), json::strings_in(object, "backups"),
            json::string_or(object, "new_guest", ""),    flag(object, "had_snapshot")};
}

std::vector<Upid> Proxmox::tasks_of(const Target& target, const Action& action) {
    std::string subject = target.guest;
    std::set<Kind> kinds{Kind::vm, Kind::container}; // both, where the guest is gone
    std::set<std::string_view> types;
    if (const auto* restore = std::get_if<Restore>(&action)) {
        kinds = {kind_of_backup(restore->backup)};
    } else if (const auto* create = std::get_if<Create>(&action)) {
        if (const auto original = template_in(create->source)) {
            subject = std::to_string(*original), types = {of_template}, kinds = {};
        } else {
            kinds = {kind_of_backup(create->source)};
        }
    } else if (const auto* backup = std::get_if<DeleteBackup>(&action)) {
        subject += "@" + storage_of(backup->backup);
    } else if (const auto guest = this->guest(target.guest)) {
        kinds = {guest->kind};
    }
    for (const Kind kind : kinds)
        for (const std::string_view type : task_types(kind_of(action), kind)) types.insert(type);
    std::vector<Upid> found;
    for (const std::string_view type : types)
        for (Upid& task : node_.own_tasks(type))
            if (task.subject == subject) found.push_back(std::move(task));
    std::ranges::stable_sort(found, std::ranges::greater{}, &Upid::started);
    return found;
}

bool Proxmox::is_about(const Upid& task, const GuestId& guest) {
    if (task.type != of_template) return true;
    // Which copy it makes, only its log tells: by the names of the new disks, which come first.
    constexpr std::size_t first_disk_by = 20;
    return std::ranges::any_of(first_lines(client_, task, first_disk_by), [&](const std::string& line) {
        return line.find("vm-" + guest + "-") != line.npos;
    });
}

std::int64_t Proxmox::newest_backup(const Target& target, const Backup& backup) {
    return newest_with(listed_notes(backup.notes), keeper_.of(target.guest, backup.repository));
}

bool Proxmox::has_snapshot(const Guest& guest, const std::string& name) {
    const auto all = node_.snapshots({guest.kind, guest_number(guest.id)});
    return std::ranges::find(all, name, &Snapshot::name) != all.end();
}

Note Proxmox::note(const Target& wanted, const Action& action) {
    Before before;
    local::require_target(wanted, action);
    if (is_on_storage(kind_of(action))) return written(before);
    if (wanted.guest.empty() && makes_guest(action)) before.new_guest = std::to_string(node_.next_id());
    const Target target = meant(wanted, before.new_guest);
    for (const Upid& task : tasks_of(target, action)) {
        if (before.newest_task == 0) before.newest_task = task.started;
        if (task.started == before.newest_task) before.tasks.push_back(task.text);
    }
    if (const auto* backup = std::get_if<Backup>(&action)) {
        const auto all = keeper_.of(target.guest, backup->repository);
        before.newest_backup = newest_with(listed_notes(backup->notes), all);
        for (const BackupVolume& each : all) before.backups.push_back(each.id);
    }
    if (const auto* take = std::get_if<TakeSnapshot>(&action))
        if (const auto guest = this->guest(target.guest))
            before.had_snapshot = has_snapshot(*guest, take->snapshot);
    return written(before);
}

bool Proxmox::is_as_after(const Target& target, const Action& action, const Before& before) {
    if (const auto* backup = std::get_if<Backup>(&action))
        return newest_backup(target, *backup) > before.newest_backup;
    if (const auto* mount = std::get_if<Mount>(&action))
        return local::is_mounted(settings_.local, target, mount->point);
    if (const auto* unmount = std::get_if<Unmount>(&action))
        return local::is_unmounted(settings_.local, target, unmount->point);
    const ActionKind kind = kind_of(action);
    // A guest under that id may be somebody else's; a list of backups leaves out what the token may not see.
    if (kind == ActionKind::create || kind == ActionKind::restore || kind == ActionKind::delete_backup)
        return false;
    const auto guest = this->guest(target.guest);
    if (kind == ActionKind::destroy) return !guest;
    return guest && guest->incarnation == target.incarnation && is_guest_as_after(*guest, action, before);
}

bool Proxmox::is_guest_as_after(const Guest& guest, const Action& action, const Before& before) {
    switch (kind_of(action)) {
    case ActionKind::start:
    case ActionKind::resume:
        return guest.power == Power::running;
    case ActionKind::stop:
        return guest.power == Power::stopped;
    case ActionKind::set_config:
        return has(*guest.config, std::get<SetConfig>(action));
    case ActionKind::grow:
        return guest.config->disk_mib == std::get<Grow>(action).disk_mib;
    case ActionKind::snapshot:
        return !before.had_snapshot && has_snapshot(guest, std::get<TakeSnapshot>(action).snapshot);
    case ActionKind::delete_snapshot:
        return !has_snapshot(guest, std::get<DeleteSnapshot>(action).snapshot);
    case ActionKind::set_features:
        return local::has_features(*guest.config, std::get<SetFeatures>(action));
    default: // a rollback leaves nothing to see
        return false;
    }
}

GuestId Proxmox::new_guest_in(const Note& note) {
    return read_note(note).new_guest;
}

Trace Proxmox::trace(const Target& wanted, const Action& action, const Note& note) {
    const Before before = read_note(note);
    const Target target = meant(wanted, before.new_guest);
    Trace trace;
    trace.guest = target.guest;
    if (is_on_storage(kind_of(action))) {
        if (is_as_after(target, action, before)) trace.kind = Trace::Kind::done;
        return trace;
    }
    // One action at a time on one guest: the first of them since is this one.
    for (const Upid& task : tasks_of(target, action))
        if (is_new(task, before) && is_about(task, target.guest)) {
            trace.kind = Trace::Kind::begun;
            trace.handle = handle_of(task, guest_number(target.guest));
        }
    if (trace.kind == Trace::Kind::nothing && is_as_after(target, action, before))
        trace.kind = Trace::Kind::done;
    return trace;
}

} // namespace blockhost::platform::proxmox
