// SPDX-License-Identifier: MIT
#pragma once
/// Every change of a guest, of its backups, or of the host's storage, as a value. What a platform does for
/// each, its row in the table of capabilities says.

#include "platform/guest.hpp"

#include <chrono>
#include <span>
#include <variant>

namespace blockhost::platform {

struct Start {
    bool operator==(const Start&) const = default;
};
/// Asks the guest to shut down.
struct Stop {
    std::chrono::seconds patience{180};
    bool force = false; ///< switches it off when the patience is over, or at once without patience
    bool operator==(const Stop&) const = default;
};
struct Resume {
    bool operator==(const Resume&) const = default;
};
/// Changes what is given here and nothing else. The platform refuses when the configuration is no longer the
/// one with `digest`.
struct SetConfig {
    std::string digest;
    std::optional<std::string> name, description;
    std::optional<int> cpus;
    std::optional<std::int64_t> memory_mib;
    std::optional<std::set<std::string>> tags;
    std::optional<bool> start_on_boot, is_protected;
    bool operator==(const SetConfig&) const = default;
};
/// Makes the first disk larger; never smaller.
struct Grow {
    std::int64_t disk_mib = 0;
    bool operator==(const Grow&) const = default;
};
/// Makes a guest from a template or from a golden archive, under an id that nothing has.
struct Create {
    std::string source;
    GuestConfig config;
    bool operator==(const Create&) const = default;
};
struct TakeSnapshot {
    std::string snapshot;
    std::string description;
    bool operator==(const TakeSnapshot&) const = default;
};
struct RollBack {
    std::string snapshot;
    bool operator==(const RollBack&) const = default;
};
struct DeleteSnapshot {
    std::string snapshot;
    bool operator==(const DeleteSnapshot&) const = default;
};
struct Backup {
    std::string repository;
    std::string notes; ///< one that is found again by them alone has notes that no other one has
    bool is_protected = false;
    bool operator==(const Backup&) const = default;
};
/// Makes a new guest of a backup. There is no restore over a guest: a platform destroys it first, and only
/// then learns whether the backup is good.
struct Restore {
    std::string backup;
    bool operator==(const Restore&) const = default;
};
/// Its target is the guest whose backup it is.
struct DeleteBackup {
    std::string backup;
    bool operator==(const DeleteBackup&) const = default;
};
struct Destroy {
    bool operator==(const Destroy&) const = default;
};

/// Gives a container exactly these features, some of which only root on the host can: "keyctl", "mount=nfs",
/// "nesting".
struct SetFeatures {
    std::set<std::string> features;
    bool operator==(const SetFeatures&) const = default;
};
/// Mounts the storage that is its target there, now and after each start of the host.
struct Mount {
    std::string point; ///< "/mnt/backup-1"
    bool operator==(const Mount&) const = default;
};
/// Takes the storage that is its target away from there. What is on it stays, and nobody gets at it.
struct Unmount {
    std::string point;
    bool operator==(const Unmount&) const = default;
};

using Action =
    std::variant<Start, Stop, Resume, SetConfig, Grow, Create, TakeSnapshot, RollBack, DeleteSnapshot, Backup,
                 Restore, DeleteBackup, Destroy, SetFeatures, Mount, Unmount>;

/// In the order of the alternatives of Action.
enum class ActionKind {
    start,
    stop,
    resume,
    set_config,
    grow,
    create,
    snapshot,
    rollback,
    delete_snapshot,
    backup,
    restore,
    delete_backup,
    destroy,
    set_features,
    mount,
    unmount,
};
ActionKind kind_of(const Action& action);
/// "start", "set-config", "delete-snapshot": as in documents and messages.
std::string_view to_string(ActionKind kind);
std::optional<ActionKind> action_kind(std::string_view name);
/// Each kind once, in order.
std::span<const ActionKind> action_kinds();

/// Whether it is done to storage of the host, and to no guest.
bool is_on_storage(ActionKind kind);

/// The guest that is meant: one id at one time. An empty incarnation says that no guest has the id, which
/// only a create, a restore to a new id, and a delete-backup may say: a backup outlives its guest. The first
/// two may leave the id empty where the platform hands ids out: its note then holds a free one.
struct Target {
    GuestId guest;
    Incarnation incarnation;
    bool operator==(const Target&) const = default;
};

/// Storage of the host as what is meant: its guest is "storage:NAME", its incarnation "filesystem:UUID",
/// which tells one disk of that name from another.
Target storage_target(std::string_view name, std::string_view filesystem);
/// The UUID of the file system; empty for a target that is no storage.
std::string filesystem_of(const Target& target);

} // namespace blockhost::platform
