// SPDX-License-Identifier: MIT
#pragma once
/// Garbage collection: suspends what is expired, destroys what stays unpaid, finds what was lost.
///
/// First one look at everything decides what could be done and why. Then each item is judged again under its
/// own lock: a change in between (an engine extends, an admin destroys) wins.

#include "vm/context.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::expiry {

struct GcRequest {
    bool suspend = true, destroy = true;
    std::int64_t grace_days = 7;
    unsigned jobs = 4;
    std::chrono::seconds patience{60}; ///< for a guest's shutdown
    /// What stands before each destroy: runs `act`, or says why the VM is left. Any thread calls it. Throws
    /// what `act` throws.
    std::function<std::string(const VmName&, const std::function<void()>& act)> gate =
        [](const VmName&, const std::function<void()>& act) { return act(), std::string(); };
};

enum class GcAction {
    recover,  ///< an operation's process died
    suspend,  ///< an active VM is expired
    hold_off, ///< a suspended VM runs, or nothing forbids its start
    destroy,  ///< a VM is suspended for longer than the grace
    adopt,    ///< a domain that this instance made has no record
    mend,     ///< a running VM lacks what keeps it apart from others
    keep,     ///< the time of a VM's undo snapshot is over
    release,  ///< an IPv4 address that a create took and gave back came back to the list
    report,   ///< only reported: nothing here proves what to do
};
std::string_view to_string(GcAction action);

/// One thing that gc found, and what became of it.
struct GcItem {
    std::string object; ///< a VM's name, or an address
    GcAction action;
    std::string reason;
    std::optional<std::chrono::seconds> age; ///< of the reason: since the expiry, the suspension, …
    enum class End { planned, done, skipped, failed } end = End::planned;
    std::string detail; ///< why it was skipped or failed; may be empty
};
std::string_view to_string(GcItem::End end);

/// What a look at everything showed.
struct GcView {
    struct Domain {
        std::string name;
        PowerState state;
        bool marked;              ///< a create of this instance made the domain, and it still has its name
        std::string renamed = {}; ///< the VM whose domain this is, when it was renamed; else empty
    };
    std::vector<VmRecord> records;
    std::vector<std::string> bad_records; ///< names of records that cannot be read
    std::vector<Domain> domains;
    struct Entry {
        VmName name;
        std::string verb;
        bool alive;
        Instant since;
    };
    std::vector<Entry> entries; ///< open operations
    struct Unclaimed {
        Ipv4 address;
        std::optional<Instant> given_back_at; ///< by a rolled-back create of this instance
    };
    std::vector<Unclaimed> addresses;   ///< allocated, but neither a record nor a domain has it
    std::vector<Ipv4> claimed;          ///< addresses that open operations have noted as their own
    std::vector<std::string> startable; ///< VMs with suspended records whose start nothing forbids
    struct Unguarded {
        std::string name, what; ///< what it lacks
    };
    std::vector<Unguarded> unguarded;     ///< VMs with active records
    std::vector<std::string> bad_entries; ///< names of journal entries that cannot be read
    struct Undoable {
        std::string name;
        Instant until;
        bool half_kept = false; ///< a keep was interrupted
    };
    std::vector<Undoable> undoable =
        {}; ///< VMs of this instance with undo snapshots, by the overlays there are
};

/// Pure: what to do about `view` at `when`, in the order of execution.
std::vector<GcItem> decide_gc(const GcView& view, const GcRequest& request, Instant when);

/// Looks at registry, libvirt and journal. Throws when one of them cannot be read: nothing is concluded then.
GcView look_around(World& world);

/// Carries out the planned items, several VMs at a time. `told` is called for each item as it ends, by one
/// thread at a time. A failure ends only its own item.
void carry_out_gc(World& world, const GcRequest& request, std::vector<GcItem>& items,
                  const std::function<void(const GcItem&)>& told);

} // namespace blockhost::expiry
