// SPDX-License-Identifier: MIT
#include "platform/proxmox/backups/keeper.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/before.hpp"
#include "platform/proxmox/task.hpp"

#include <algorithm>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::string_view sees_storage = "Datastore.Audit|Datastore.AllocateSpace|Datastore.Allocate";

StoredBackup stored(const BackupVolume& volume) {
    StoredBackup backup{.id = volume.id,
                        .guest = volume.guest == 0 ? "" : std::to_string(volume.guest),
                        .made = volume.made,
                        .size = volume.size,
                        .place = storage_of(volume.id),
                        .format = volume.format,
                        .notes = volume.notes,
                        .is_protected = volume.is_protected,
                        .is_encrypted = volume.is_encrypted,
                        .verified = volume.verified};
    try {
        backup.kind = kind_of_backup(volume.id);
    } catch (const Error&) { // its name tells no guest: it is listed without one
        backup.guest.clear();
    }
    return backup;
}

/// Why a storage's list lacks backups that the token may not see; empty: it lacks none.
std::string unseen_in(const std::string& storage, const Permissions& held) {
    const std::string path = "/storage/" + storage;
    if (permits(held, path, "Datastore.Allocate")) return "";
    if (!permits(held, path, "Datastore.AllocateSpace"))
        return "the API token may not see the backups in " + storage +
               ": it has no Datastore.AllocateSpace on " + path;
    if (const auto hole = hole_in(held, "/vms", "VM.Backup"))
        return "the API token may not see all backups in " + storage + ": it has no VM.Backup on " + *hole;
    return "";
}

} // namespace

std::string listed_notes(const std::string& notes) {
    return notes.substr(0, notes.find('\n'));
}

void Keeper::look_at(const StorageRow& storage, const Permissions& held, StoredBackups& found) {
    if (!storage.is_enabled || !storage.is_active) {
        found.doubts.push_back("the storage " + text::printable(storage.name) +
                               (storage.is_enabled ? " is not reached" : " is switched off"));
        return;
    }
    try {
        for (const BackupVolume& volume : node_.backups(storage.name)) found.seen.push_back(stored(volume));
    } catch (const Refused& refused) {
        found.doubts.push_back("the storage " + text::printable(storage.name) +
                               " cannot be read: " + refused.message());
        return;
    }
    if (std::string unseen = unseen_in(storage.name, held); !unseen.empty())
        found.doubts.push_back(std::move(unseen));
}

StoredBackups Keeper::backups() {
    StoredBackups found;
    const Permissions held = node_.permissions();
    if (const auto hole = hole_in(held, "/storage", sees_storage))
        found.doubts.push_back("the API token may not see all storages: it has no Datastore.Audit on " +
                               *hole);
    for (const StorageRow& storage : node_.storages())
        if (storage.takes_backups) look_at(storage, held, found);
    std::ranges::stable_sort(found.seen, {}, &StoredBackup::made);
    return found;
}

std::vector<BackupPlace> Keeper::places() {
    std::vector<BackupPlace> places;
    for (const StorageRow& each : node_.storages())
        if (each.takes_backups)
            places.push_back({each.name, each.kind, each.is_enabled && each.is_active, each.size, each.free});
    return places;
}

std::vector<BackupVolume> Keeper::of(const GuestId& guest, const std::string& storage) {
    auto found = node_.backups(storage);
    std::erase_if(found, [&](const BackupVolume& each) { return std::to_string(each.guest) != guest; });
    return found;
}

std::optional<StoredBackup> Keeper::made_by(const Target& target, const Backup& action,
                                            const std::string& note) {
    const Before before = read_note(note);
    auto came = of(target.guest, action.repository);
    std::erase_if(came, [&](const BackupVolume& each) {
        return std::ranges::find(before.backups, each.id) != before.backups.end();
    });
    const std::string notes = listed_notes(action.notes);
    const auto is_ours = [&](const BackupVolume& volume) { return !notes.empty() && volume.notes == notes; };
    if (std::ranges::count_if(came, is_ours) == 1) return stored(*std::ranges::find_if(came, is_ours));
    // Notes that could not be written are a warning of the task's. Another hand's backup usually has some.
    if (came.size() == 1 && came.front().notes.empty()) return stored(came.front());
    return std::nullopt;
}

std::optional<BackupCourse> Keeper::course(const std::string& handle) {
    const auto upid = parse_upid(handle.substr(0, handle.find(' ')));
    if (!upid) return std::nullopt;
    const TaskState state = look(client_, *upid);
    if (!state.dump || state.dump->course.mode.empty()) return std::nullopt;
    return state.dump->course;
}

GuestConfig Keeper::config_in(const StoredBackup& backup) {
    return config_of(node_.archived_config(backup.id), backup.kind);
}

} // namespace blockhost::platform::proxmox
