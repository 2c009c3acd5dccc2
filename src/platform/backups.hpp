// SPDX-License-Identifier: MIT
#pragma once
/// The backups that a platform itself keeps of its guests.

#include "platform/permit.hpp"

#include <string>
#include <vector>

namespace blockhost::platform {

/// A place of the platform's where backups go.
struct BackupPlace {
    std::string name, kind;                 ///< the platform's own words: "usb-1", "dir"
    bool is_online = true;                  ///< whether it can be read and written now
    std::optional<std::int64_t> size, free; ///< bytes
};

/// How a guest was held while its backup was taken.
enum class Consistency {
    unknown, ///< nothing tells
    frozen,  ///< its agent froze its file systems for a moment
    crash,   ///< as after a loss of power
    off,     ///< it was off, or was shut down for it
};
/// "frozen", "crash", "off"; empty for unknown.
std::string_view to_string(Consistency consistency);

/// How a backup is being taken, or was, as far as the platform tells.
struct BackupCourse {
    std::string mode;     ///< the platform's own word: "snapshot"; empty: not told yet
    std::string fallback; ///< why it is another mode than the one asked for
    Consistency consistency = Consistency::unknown;
    bool guest_may_run_on = false; ///< it runs on, or may: the backup holds it no longer
    std::string held_s;            ///< how long it was held: "2", "<1"; empty: not told
    std::optional<int> percent;    ///< of its disks, read
    bool operator==(const BackupCourse&) const = default;
};

struct StoredBackup {
    std::string id;        ///< as Restore and DeleteBackup name it
    GuestId guest;         ///< empty: it is no guest's that can be told
    Kind kind = Kind::vm;  ///< of the guest
    std::int64_t made = 0; ///< Unix time
    std::int64_t size = 0; ///< bytes
    std::string place;
    std::string format; ///< "vma.zst", "pbs-vm"
    std::string notes;  ///< their first line; outside text
    bool is_protected = false, is_encrypted = false;
    std::optional<bool> verified; ///< by the place; nothing: it did not look
    bool operator==(const StoredBackup&) const = default;
};

/// All backups that could be seen, the oldest first.
struct StoredBackups {
    std::vector<StoredBackup> seen;
    /// Why more may exist than are seen, each one clause; empty: these are all. While it is not empty,
    /// nothing follows from a backup's absence.
    std::vector<std::string> doubts;
};

/// What a platform tells of the backups that it keeps. Looks alone. Throws as Platform::guests.
class BackupKeeper {
  public:
    virtual ~BackupKeeper() = default;
    virtual StoredBackups backups() = 0;
    virtual std::vector<BackupPlace> places() = 0;
    /// The place that is used unless another one is named; empty: none is.
    virtual std::string usual_place() = 0;
    /// The backup that this action made, found by comparing what is there with what was there when its note
    /// was made; nothing: what came since cannot be told to be this action's.
    virtual std::optional<StoredBackup> made_by(const Target& target, const Backup& action,
                                                const std::string& note) = 0;
    /// How an action that was begun with that handle takes its backup, or took it; nothing: nothing tells
    /// (any more).
    virtual std::optional<BackupCourse> course(const std::string& handle) = 0;
    /// The guest's configuration as a backup holds it.
    virtual GuestConfig config_in(const StoredBackup& backup) = 0;
};

} // namespace blockhost::platform
