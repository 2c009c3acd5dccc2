// SPDX-License-Identifier: MIT
/// The deciding half of gc: makes a list from a view, and touches nothing.

#include "expiry/gc.hpp"

#include "vm/expiry.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace blockhost::expiry {

namespace {

using namespace std::chrono_literals;

/// What a rolled-back create gave back may for this long still be on its way through other programs.
constexpr auto settled_after = 10min;

class Decision {
  public:
    Decision(const GcView& view, const GcRequest& request, Instant when)
        : view_(view), request_(request), when_(when) {
        for (const GcView::Domain& domain : view.domains) domains_[domain.name] = &domain;
        for (const VmRecord& record : view.records) recorded_.insert(record.name.str());
        for (const std::string& name : view.bad_records) recorded_.insert(name);
    }

    std::vector<GcItem> items() {
        for (const GcView::Entry& entry : view_.entries)
            if (!entry.alive)
                add(entry.name.str(), GcAction::recover, entry.verb + " was interrupted", entry.since);
        for (const VmRecord& record : view_.records) on_record(record);
        for (const std::string& name : view_.bad_records)
            add(name, GcAction::report, "its record cannot be read");
        for (const std::string& name : view_.bad_entries)
            add(name, GcAction::report,
                "its journal entry cannot be read: look at it, and remove it if nothing is under way");
        for (const GcView::Domain& domain : view_.domains)
            if (!domain.renamed.empty())
                add(domain.name, GcAction::report,
                    fmt::format(
                        "it is the domain of {0}, renamed: 'virsh domrename {1} {0}' gives it its name back",
                        domain.renamed, domain.name));
        for (const GcView::Domain& domain : view_.domains)
            if (domain.marked && !recorded_.contains(domain.name) && !is_worked_on(domain.name))
                add(domain.name, GcAction::adopt, "a domain of ours without a record");
        for (const GcView::Unguarded& vm : view_.unguarded)
            if (!is_worked_on(vm.name) && !is_planned(vm.name)) add(vm.name, GcAction::mend, vm.what);
        for (const GcView::Undoable& vm : view_.undoable)
            if ((vm.until <= when_ || vm.half_kept) && is_live(vm.name) && !is_worked_on(vm.name) &&
                !is_to_go(vm.name))
                add(vm.name, GcAction::keep,
                    vm.half_kept ? "its undo snapshot is half kept"
                                 : "its undo snapshot ended at " + format_instant(vm.until),
                    vm.half_kept ? std::nullopt : std::optional(vm.until));
        for (const GcView::Unclaimed& unclaimed : view_.addresses) on_address(unclaimed);
        std::stable_sort(items_.begin(), items_.end(),
                         [](const GcItem& a, const GcItem& b) { return a.action < b.action; });
        return std::move(items_);
    }

  private:
    void add(const std::string& object, GcAction action, std::string reason,
             std::optional<Instant> since = {}) {
        std::optional<std::chrono::seconds> age;
        if (since) age = std::chrono::duration_cast<std::chrono::seconds>(when_ - *since);
        items_.push_back({object, action, std::move(reason), age, GcItem::End::planned, ""});
    }

    const GcView::Domain* domain_of(const VmRecord& record) const {
        const auto found = domains_.find(record.name.str());
        return found == domains_.end() ? nullptr : found->second;
    }

    /// Whether the VM has an open operation, alive or dead, which decides what becomes of it.
    bool is_worked_on(const std::string& name) const {
        const auto& bad = view_.bad_entries;
        if (std::find(bad.begin(), bad.end(), name) != bad.end()) return true;
        return std::any_of(view_.entries.begin(), view_.entries.end(),
                           [&](const GcView::Entry& entry) { return entry.name.str() == name; });
    }

    bool is_planned(const std::string& name) const {
        return std::any_of(items_.begin(), items_.end(),
                           [&](const GcItem& item) { return item.object == name; });
    }

    bool is_live(const std::string& name) const {
        return std::any_of(view_.records.begin(), view_.records.end(), [&](const VmRecord& record) {
            return record.name.str() == name && record.status != RecordStatus::destroyed;
        });
    }

    bool is_to_go(const std::string& name) const {
        return std::any_of(items_.begin(), items_.end(), [&](const GcItem& item) {
            return item.object == name && item.action == GcAction::destroy;
        });
    }

    void on_record(const VmRecord& record) {
        switch (record.status) {
        case RecordStatus::active:
            on_active(record);
            return;
        case RecordStatus::suspended:
            on_suspended(record);
            return;
        case RecordStatus::destroyed:
            if (const auto* domain = domain_of(record); domain && domain->marked)
                add(record.name.str(), GcAction::report,
                    fmt::format("its record says destroyed, but it has a domain ({})",
                                to_string(domain->state)));
            return;
        }
    }

    void on_active(const VmRecord& record) {
        const std::string& name = record.name.str();
        if (!record.expires_at)
            add(name, GcAction::report, "its record has no expires_at that can be read");
        else if (is_expired(record, when_) && request_.suspend)
            add(name, GcAction::suspend, "expired at " + format_instant(*record.expires_at),
                record.expires_at);
        else if (!domain_of(record))
            add(name, GcAction::report, "its record says active, but libvirt has no such domain");
    }

    void on_suspended(const VmRecord& record) {
        const std::string& name = record.name.str();
        const auto* domain = domain_of(record);
        if (!is_unpaid(record, when_)) {
            add(name, GcAction::report,
                record.expires_at
                    ? "it was extended to " + format_instant(*record.expires_at) + " and waits to be resumed"
                    : "its record has no expires_at that can be read");
            return;
        }
        if (request_.destroy && is_overdue(record, request_.grace_days, when_)) {
            add(name, GcAction::destroy, "suspended at " + format_instant(*record.suspended_at),
                record.suspended_at);
            return;
        }
        if (!record.suspended_at)
            add(name, GcAction::report, "its record says suspended, but not since when");
        if (!domain || !request_.suspend) return;
        const auto& startable = view_.startable;
        if (is_alive(domain->state))
            add(name, GcAction::hold_off, "suspended, but it is " + std::string(to_string(domain->state)),
                record.suspended_at);
        else if (std::find(startable.begin(), startable.end(), name) != startable.end())
            add(name, GcAction::hold_off, "suspended, but nothing keeps it off", record.suspended_at);
    }

    void on_address(const GcView::Unclaimed& unclaimed) {
        const auto& claimed = view_.claimed;
        if (std::find(claimed.begin(), claimed.end(), unclaimed.address) != claimed.end()) return;
        const bool proven = unclaimed.given_back_at && when_ > *unclaimed.given_back_at + settled_after;
        add(unclaimed.address.str(), proven ? GcAction::release : GcAction::report,
            proven ? "taken by a create that was rolled back" : "allocated, but no record has it",
            unclaimed.given_back_at);
    }

    const GcView& view_;
    const GcRequest& request_;
    Instant when_;
    std::map<std::string, const GcView::Domain*> domains_;
    std::set<std::string> recorded_;
    std::vector<GcItem> items_;
};

} // namespace

std::vector<GcItem> decide_gc(const GcView& view, const GcRequest& request, Instant when) {
    return Decision(view, request, when).items();
}

std::string_view to_string(GcAction action) {
    switch (action) {
    case GcAction::recover:
        return "recover";
    case GcAction::suspend:
        return "suspend";
    case GcAction::hold_off:
        return "hold-off";
    case GcAction::destroy:
        return "destroy";
    case GcAction::adopt:
        return "adopt";
    case GcAction::mend:
        return "mend";
    case GcAction::keep:
        return "keep";
    case GcAction::release:
        return "release";
    case GcAction::report:
        return "report";
    }
    return "?";
}

std::string_view to_string(GcItem::End end) {
    switch (end) {
    case GcItem::End::planned:
        return "planned";
    case GcItem::End::done:
        return "done";
    case GcItem::End::skipped:
        return "skipped";
    case GcItem::End::failed:
        return "failed";
    }
    return "?";
}

} // namespace blockhost::expiry
