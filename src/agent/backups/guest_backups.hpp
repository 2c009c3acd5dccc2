// SPDX-License-Identifier: MIT
#pragma once
/// Backups of guests whose platform keeps them: which there are, and making one. What changes something is an
/// operation like any other: gate, journal, record.

#include "agent/carry_out.hpp"
#include "platform/backups.hpp"

namespace blockhost::agent {

/// Throws Error{config} where the platform keeps none.
platform::BackupKeeper& require_keeper(platform::Platform& platform);

/// A backup, with what this host's own record tells of it.
struct KnownBackup {
    platform::StoredBackup stored;
    std::string name;      ///< what its guest is called now; empty: there is no such guest, or it has none
    std::string operation; ///< of this host's agent that made it; empty: somebody else did
    platform::BackupCourse course; ///< as far as the operation tells it
};

/// The id of the operation in a backup's notes; empty when the notes are not in this agent's format.
std::string operation_in(std::string_view notes);
/// Notes that no other backup has, for an operation's.
std::string notes_of(const execution::Id& operation, const std::string& guest_name);

/// The oldest first. `journal`: null where this host's agent has none yet. Whether an operation is ours, it
/// alone says: notes are outside text.
std::vector<KnownBackup> known_backups(const platform::StoredBackups& all, const platform::Guests& guests,
                                       execution::Journal* journal);

/// The guest that is meant by its id or by its name. Throws Error{not_found}, {invalid} when several have
/// that name.
platform::Guest find_guest(platform::Platform& platform, const std::string& word);
/// As find_guest, for what may be gone: an id is taken as it is.
platform::GuestId find_guest_id(platform::Platform& platform, const platform::Guests& guests,
                                const std::string& word);
/// The one that is meant: its id, or WORD@latest, where WORD is its guest's id or name. Throws
/// Error{not_found}.
const KnownBackup& find_backup(platform::Platform& platform, const platform::Guests& guests,
                               const std::vector<KnownBackup>& all, const std::string& word);

/// Where a backup goes: the place that is named, else the configured one, else the only one that there is.
/// Throws Error{not_found}, {config} where that is not one; {io} when it is not reached, {no_room} when it is
/// full.
std::string choose_place(platform::BackupKeeper& keeper, const std::optional<std::string>& named);

/// What is wanted of a backup.
struct BackupWish {
    platform::Guest guest;
    std::string place;
    bool is_protected = false;
};
/// What came of it.
struct TakenBackup {
    execution::Operation operation;
    std::optional<platform::StoredBackup> stored; ///< nothing: it was not made, or cannot be told from others
    platform::BackupCourse course;
};
/// Takes one, to its end or until `stop` says so: what was begun then goes on. `told` as carry_out has it.
TakenBackup take_backup(Engine& engine, const BackupWish& wish, const std::string& requester,
                        const std::function<bool()>& stop, const execution::Runner::Told& told);

/// As Engine::finish; what was not begun when `check` threw is not wanted any more, and is cancelled.
execution::Operation finish_or_cancel(Engine& engine, const execution::Id& id,
                                      const std::function<void()>& check);

} // namespace blockhost::agent
