// SPDX-License-Identifier: MIT
#pragma once
/// What becomes of the backups that a repository holds: who their VMs are, whether they are whole, which
/// stay.

#include "backup/ledger.hpp"
#include "backup/settings.hpp"
#include "vm/context.hpp"

namespace blockhost::backup {

/// Whether it is noted what a look finds of VMs that are gone and of backups that are whole.
enum class Noting { notes, only_looks };

/// The fate of every backup in the repository. A backup that no earlier call found whole is compared with its
/// manifest, which takes seconds each. A VM is there while a domain of this instance has its uuid, or while
/// its record is live and libvirt has no domain of its name. Throws when database, libvirt or repository
/// cannot be read: nothing is concluded then.
std::vector<Fate> judge(World& world, const Settings& settings, const Restic& restic, Ledger& ledger,
                        Instant when, Noting noting);

/// Throws Error{clock} when this host's clock cannot be trusted to tell how old backups are.
void require_clock(const World& world);
/// Throws Error{denied} for a repository that somebody else keeps.
void require_keeper(const Settings& settings);

/// What is due of the care for the repository: forget daily, prune weekly, check daily; weekly a quarter of
/// the data is read as well.
std::vector<Chore> due_chores(const Settings& settings, Ledger& ledger, Instant when);
/// Which quarter of the data is read in the week of `when`: 1 to 4.
unsigned quarter_of(Instant when);

/// How a VM's backups stand.
struct Standing {
    VmName vm;
    std::string policy;
    std::optional<Attempt> last = {}, last_good = {};
    bool is_due = false, is_overdue = false;
};
/// Of every VM whose record is live. `ledger` may be null: nothing was ever done.
std::vector<Standing> stand_of(const std::vector<VmRecord>& records, const Policies& policies, Ledger* ledger,
                               Instant when);

/// Tells gc, which runs as another user, when the last whole backup of each VM began: `<state>/backups.json`.
void tell_last_backups(const World& world, Ledger& ledger);
/// What was told; nothing for a VM without one.
std::optional<Instant> told_last_backup(const World& world, const VmName& vm);

} // namespace blockhost::backup
