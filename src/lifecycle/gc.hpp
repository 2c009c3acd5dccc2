#pragma once
/// Garbage collection: what is expired is suspended, what stays unpaid is destroyed, what was lost is found.
///
/// First a look at everything, which decides what could be done and why; then each thing again, under its own
/// lock: whatever changed meanwhile (an engine extends, an admin destroys) wins.

#include "lifecycle/world.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

struct GcRequest {
    bool suspend = true, destroy = true;
    std::int64_t grace_days = 7;
    unsigned jobs = 4;
    std::chrono::seconds patience{60}; ///< for a guest to shut down
};

enum class GcAction {
    recover,  ///< an operation whose process died
    suspend,  ///< active and expired
    hold_off, ///< suspended, but it runs
    destroy,  ///< suspended for longer than the grace
    adopt,    ///< a domain of ours without a record
    release,  ///< an IPv4 address that a create of ours took, gave back, and that came back to the list
    report,   ///< only told of: nothing here proves what to do
};
std::string_view to_string(GcAction action);

/// One thing gc found, and what became of it.
struct GcItem {
    std::string object; ///< a VM's name, or an address
    GcAction action;
    std::string reason;
    std::optional<std::chrono::seconds> age; ///< of the reason: since its expiry, its suspension
    enum class End { planned, done, skipped, failed } end = End::planned;
    std::string detail; ///< why it was skipped or failed; may be empty
};
std::string_view to_string(GcItem::End end);

/// What a look at everything shows.
struct GcView {
    struct Domain {
        std::string name;
        PowerState state;
        bool marked; ///< with our instance's id
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
        std::optional<Instant> given_back_at; ///< by a create of ours that was rolled back
    };
    std::vector<Unclaimed> addresses;     ///< allocated, and neither a record's nor a domain's
    std::vector<Ipv4> claimed;            ///< what open operations have noted as their own
    std::vector<std::string> startable;   ///< suspended by their records, and nothing forbids their start
    std::vector<std::string> bad_entries; ///< names of journal entries that cannot be read
};

/// Pure: what to do about a view at `when`, in the order in which it will be done.
std::vector<GcItem> decide_gc(const GcView& view, const GcRequest& request, Instant when);

/// Looks at registry, libvirt and journal. Throws when one of them cannot be read: nothing is concluded then.
GcView look_around(World& world);

/// Carries out what is planned, several VMs at a time; `told` is called for each item as it ends, by one
/// thread at a time. A failure ends its own item only.
void carry_out_gc(World& world, const GcRequest& request, std::vector<GcItem>& items,
                  const std::function<void(const GcItem&)>& told);

} // namespace blockhost
