// SPDX-License-Identifier: MIT
#pragma once
/// Which backups stay, and why.

#include "backup/catalogue.hpp"

#include <functional>
#include <string>
#include <vector>

namespace blockhost::backup {

/// What is kept of a VM's backups: those that one of these counts wants. A day, a week (from Monday) and a
/// month are UTC's; of each that has backups the newest is kept.
struct Keep {
    unsigned last = 2; ///< the newest, however old they are
    unsigned daily = 7, weekly = 4, monthly = 6;
    unsigned within_days = 0; ///< everything that is younger
    bool operator==(const Keep&) const = default;
};

/// A backup as it was found.
struct Found {
    Backup backup;
    bool is_whole = false; ///< everything that its manifest names is there
};

/// What holds for the backups of one VM.
struct Rule {
    Keep keep = {};
    std::optional<Instant> gone_since = {}; ///< when the VM was first seen to be no more
};

struct Fate {
    Backup backup;
    bool goes = false;
    std::string why; ///< "daily 2026-03-01, weekly 2026-W09"; "no policy wants it"
};

inline constexpr std::chrono::hours incomplete_for{24};

/// Pure: the fate of each backup at `when`, by VM and then the newest first. A VM is a uuid: a namesake is
/// another one. Incomplete backups count for nothing; they go once they are older than `incomplete_for`,
/// which leaves those that are being taken, and only where the VM has a whole one. The newest whole backup of
/// a VM stays, whatever is counted, until the VM is gone for longer than `keep_destroyed`; then all of it
/// goes. What another instance took stays, and what was taken after `when`.
std::vector<Fate> decide_fates(const std::vector<Found>& all, const InstanceId& own,
                               const std::function<Rule(const Backup&)>& rule_of,
                               std::chrono::days keep_destroyed, Instant when);

} // namespace blockhost::backup
