// SPDX-License-Identifier: MIT
#pragma once
/// How often VMs are backed up, and what is kept of that: the part of backup.json that an admin writes.

#include "backup/retention.hpp"
#include "base/text/strict_json.hpp"

#include <chrono>
#include <map>
#include <string>

namespace blockhost::backup {

struct Policy {
    std::chrono::hours every{0}; ///< 0: no timer takes one
    Keep keep = {};
    bool operator==(const Policy&) const = default;
};

struct Policies {
    /// "daily", "weekly", "monthly" and "none" are there, unless the file says otherwise what they are.
    std::map<std::string, Policy> by_name;
    std::string usual = "daily";              ///< of VMs that `of_vm` does not name
    std::map<std::string, std::string> of_vm; ///< VM -> policy
    std::chrono::days keep_destroyed{30};     ///< how long backups stay of a VM that is gone
    bool append_only = false;                 ///< somebody else forgets and prunes
    bool before_destroy = false; ///< gc destroys a VM only once it was backed up after its suspension
    std::chrono::days before_destroy_wait{7}; ///< how long gc waits for that, beyond the grace
    bool operator==(const Policies&) const = default;

    Policies();
    const std::string& name_for(const VmName& vm) const;
    const Policy& for_vm(const VmName& vm) const;
};

/// Reads the members "keep", "keep_destroyed_days", "policy", "policies", "vms", "append_only",
/// "before_destroy" and "before_destroy_wait_days" of a settings document; each may be missing. Throws
/// Error{invalid} also for a policy that is named and not there, and for one that keeps nothing.
Policies policies_in(json::Fields& fields);

/// What the policies are judged by: a VM, and its last whole backup.
struct LastBackup {
    VmName vm;
    std::optional<Instant> created_at = {};   ///< the VM
    std::optional<Instant> suspended_at = {}; ///< the VM
    std::optional<Instant> taken_at = {};     ///< that backup; nothing: there is none
};

/// Whether the timer that comes once a day is to take one: it would be late if the next call took it. With
/// `before_destroy`, also of a VM that was suspended since its last.
bool is_due(const Policies& policies, const LastBackup& last, Instant when);
/// Until when the destroy of a VM that was suspended then is put off: its last backup was not taken since.
/// Nothing: nobody waits for it.
std::optional<Instant> put_off_until(const Policies& policies, Instant suspended_at,
                                     const std::optional<Instant>& last_taken_at, std::chrono::days grace);
/// Whether the last one, or the VM without any, is half a period older than the policy wants.
bool is_overdue(const Policies& policies, const LastBackup& last, Instant when);

} // namespace blockhost::backup
