// SPDX-License-Identifier: MIT
#pragma once
/// Which of the backups that a platform keeps stay, by this host's policies; and what becomes of the rest.

#include "agent/backups/guest_backups.hpp"
#include "backup/policies.hpp"

namespace blockhost::agent {

struct BackupFate {
    KnownBackup backup;
    bool goes = false;
    std::string why; ///< "daily 2026-03-01"; "no policy wants it"; "it is protected"
};

/// Pure, by guest and then the newest first. Policies name guests by id or by name. Only what this host's own
/// record says that it made may go; somebody else's stays and counts for nothing. What is protected stays,
/// and counts for nothing, either. One that its place found damaged goes only where there is a whole one. The
/// newest of a guest stays, whatever the policy says, also of one that is gone.
std::vector<BackupFate> decide_fates(const std::vector<KnownBackup>& all, const backup::Policies& policies,
                                     Instant when);

/// Which of all guests are to be backed up.
struct GuestChoice {
    std::optional<std::string> policy; ///< those that have this one; nothing: all
    bool only_due = false;             ///< those whose policy wants one by now
};
/// Pure. Policies name guests by id or by name. Due is a guest whose newest backup that counts is too old, or
/// that has none: one counts that this host's own record says it made, and that its place did not find
/// damaged. Throws Error{not_found} for a policy that is not there.
std::vector<platform::GuestId> choose_guests(const std::vector<platform::Guest>& guests,
                                             const std::vector<KnownBackup>& all,
                                             const backup::Policies& policies, const GuestChoice& choice,
                                             Instant when);

/// What became of one that was to go.
struct ForgottenBackup {
    BackupFate fate;
    execution::Operation operation; ///< done, failed, rejected, or it waits for a signature
};
/// Deletes what goes, each as an operation behind the gate: one after another, in their order. `check` as
/// Engine::finish has it.
std::vector<ForgottenBackup> forget_backups(Engine& engine, const std::vector<BackupFate>& fates,
                                            const std::string& requester, const std::function<void()>& check);

} // namespace blockhost::agent
