// SPDX-License-Identifier: MIT
/// The acting half of gc: each item under its VM's own lock, looked at once more before anything happens.

#include "expiry/gc.hpp"

#include "base/exceptions.hpp"
#include "config/mounts.hpp"
#include "expiry/parallel.hpp"
#include "operations/destroy.hpp"
#include "operations/recover.hpp"
#include "operations/snapshot/snapshot.hpp"
#include "operations/suspend.hpp"
#include "safety/adopt.hpp"
#include "safety/isolation.hpp"
#include "vm/stay_off_marks.hpp"

#include <algorithm>
#include <atomic>
#include <fmt/ranges.h>
#include <map>
#include <set>

namespace blockhost::expiry {

namespace {

using namespace std::chrono_literals;

constexpr auto reconnect_patience = 5s;

/// What the threads of one run share.
struct Run {
    const GcRequest& request;
    std::atomic<bool> libvirt_is_gone{false};
};

/// Thrown for an item that ends as skipped.
struct Skip {
    std::string why;
};

void suspend_one(World& world, const Run& run, const VmName& name) {
    JournalEntry entry = operations::take_entry(world, name, Journal::Manner::wait, Interruption());
    switch (operations::suspend_expired(world, entry, run.request.patience)) {
    case operations::Suspension::done:
        return;
    case operations::Suspension::already_off:
        throw Skip{"it is suspended and off already"};
    case operations::Suspension::extended:
        throw Skip{"it was extended meanwhile"};
    }
}

void destroy_one(World& world, const Run& run, const VmName& name) {
    const std::string why = run.request.gate(name, [&] {
        JournalEntry entry = operations::take_entry(world, name, Journal::Manner::wait, Interruption());
        if (!operations::destroy_overdue(world, entry, run.request.grace_days))
            throw Skip{"it was extended or destroyed meanwhile"};
    });
    if (!why.empty()) throw Skip{why};
}

void adopt_one(World& world, const Run&, const VmName& name) {
    JournalEntry entry = operations::take_entry(world, name, Journal::Manner::wait, Interruption());
    switch (safety::adopt_record(world, entry)) {
    case safety::Adoption::adopted:
        world.progress.warn(name.str() + " has a record again, made from its domain; whether it was extended "
                                         "is not known, so look at its expiry");
        return;
    case safety::Adoption::late_arrival:
        throw Skip{"it was left by a create that was rolled back, and is gone"};
    case safety::Adoption::not_needed:
        throw Skip{"it has a record by now"};
    }
}

void recover_one(World& world, const Run&, const VmName& name) {
    for (const operations::Recovery& recovery : operations::recover(world, name, operations::Mode::act)) {
        if (recovery.owner_alive) throw Skip{"its process is alive"};
        if (!recovery.failure.empty()) throw Error(Code::hypervisor, recovery.failure);
    }
}

void mend_one(World& world, const Run&, const VmName& name) {
    const JournalEntry entry = operations::take_entry(world, name, Journal::Manner::wait, Interruption());
    const Observation seen = observe(world, name);
    if (seen.state != VmState::active) throw Skip{"it does not run any more"};
    const safety::Mending done = safety::mend_guards(world, seen);
    if (!done.problems.empty())
        throw Error(Code::hypervisor, fmt::format("{}", fmt::join(done.problems, "; ")));
}

void keep_one(World& world, const Run&, const VmName& name) {
    JournalEntry entry = operations::take_entry(world, name, Journal::Manner::wait, Interruption());
    if (!operations::keep_due_snapshot(world, entry)) throw Skip{"it was kept or undone meanwhile"};
}

/// By the overlays in the storage folder, and the notes of disks that were replaced: what each is a part of
/// is looked at when it is kept.
std::vector<GcView::Undoable> undoable(World& world) {
    std::vector<GcView::Undoable> found;
    const auto storage = world.storage_folder();
    if (!storage) return found;
    for (const std::string& file : storage->names())
        if (const auto named = undo_name(file); named && named->operation.of(world.instance))
            found.push_back({named->vm.str(), named->until, is_half_kept(world, named->vm, file)});
    for (const VmName& name : vms_with_replaced_disks(world)) {
        try {
            if (const auto disk = replaced_disk(world, name))
                found.push_back({name.str(), disk->until, /*half_kept=*/false});
        } catch (const Error& error) {
            world.progress.warn(error.message()); // one bad note keeps nobody else's disk
        }
    }
    return found;
}

/// The running VMs that lack a guard; a VM that cannot be looked at is left out.
std::vector<GcView::Unguarded> unguarded(World& world, const std::vector<VmRecord>& records,
                                         const std::vector<GcView::Domain>& domains) {
    std::vector<GcView::Unguarded> found;
    std::set<std::string> alive;
    for (const GcView::Domain& domain : domains)
        if (is_alive(domain.state)) alive.insert(domain.name);
    std::optional<host::NetworkLook> look;
    for (const VmRecord& record : records) {
        if (record.status != RecordStatus::active || !alive.contains(record.name.str())) continue;
        if (!look) look = world.network->look();
        try {
            const auto missing = safety::missing_guards(world, observe(world, record.name), *look);
            if (!missing.empty())
                found.push_back({record.name.str(), fmt::format("{}", fmt::join(missing, "; "))});
        } catch (const Error& error) {
            if (is_lost_connection(error)) throw;
        }
    }
    return found;
}

/// What the metadata of each domain says, by the domain's name.
using Claims = std::map<std::string, Claim>;
Claims claims_of_all(World& world) {
    Claims all;
    for (const DomainUse& use : world.hypervisor().uses()) all.emplace(use.name, claim_of(use));
    return all;
}

/// Whether any instance gave the address to one of these domains, whatever the registry says.
bool is_of(const Claims& claims, const Ipv4& address) {
    return std::any_of(claims.begin(), claims.end(), [&](const auto& each) {
        const DomainMark* mark = each.second.made();
        return mark && mark->ip == address;
    });
}

/// Releases the address only while nobody has or claims it, in the critical section that removes it.
void release_one(World& world, const Ipv4& address) {
    bool released = false;
    const auto domains = claims_of_all(world);
    world.registry.change([&](Database& database) {
        const auto unclaimed = database.unclaimed();
        const auto claims = world.journal.all_claims();
        released = std::find(unclaimed.begin(), unclaimed.end(), address) != unclaimed.end() &&
                   !is_of(domains, address) &&
                   std::find(claims.ip.begin(), claims.ip.end(), address) == claims.ip.end();
        if (released) database.release(address);
    });
    if (!released) throw Skip{"somebody has it by now"};
}

void act(World& world, const Run& run, const GcItem& item) {
    if (item.action == GcAction::release) {
        release_one(world, *Ipv4::try_parse(item.object));
        return;
    }
    const VmName name(item.object);
    switch (item.action) {
    case GcAction::recover:
        recover_one(world, run, name);
        return;
    case GcAction::suspend:
    case GcAction::hold_off:
        suspend_one(world, run, name);
        return;
    case GcAction::destroy:
        destroy_one(world, run, name);
        return;
    case GcAction::adopt:
        adopt_one(world, run, name);
        return;
    case GcAction::mend:
        mend_one(world, run, name);
        return;
    case GcAction::keep:
        keep_one(world, run, name);
        return;
    default:
        return;
    }
}

/// After a lost connection, tries once to have it back; without it nothing more is begun.
void note_lost_connection(World& world, Run& run, const Error& error) {
    if (!is_lost_connection(error)) return;
    try {
        world.reconnect(reconnect_patience);
    } catch (const Error&) {
        run.libvirt_is_gone = true;
    }
}

void carry_out(World& world, Run& run, GcItem& item) {
    item.end = GcItem::End::failed;
    if (run.libvirt_is_gone) {
        item.detail = "libvirt went away; nothing was begun";
        return;
    }
    try {
        act(world, run, item);
        item.end = GcItem::End::done;
    } catch (const Skip& skip) {
        item.end = GcItem::End::skipped;
        item.detail = skip.why;
    } catch (const Error& error) {
        if (error.code() == Code::busy) item.end = GcItem::End::skipped;
        item.detail = as_error(error).what();
        note_lost_connection(world, run, error);
    } catch (const std::exception& error) {
        item.detail = as_error(error).what();
    }
}

void look_at_journal(World& world, GcView& view) {
    for (const VmName& name : world.journal.names()) {
        try {
            if (const auto entry = world.journal.peek(name))
                view.entries.push_back({name, entry->verb, world.journal.held(name), entry->since});
        } catch (const Error&) {
            view.bad_entries.push_back(name.str());
        }
    }
}

} // namespace

GcView look_around(World& world) {
    require_mounted(world.paths);
    GcView view;
    const Database database = world.registry.read();
    view.records = database.records(&view.bad_records);
    for (const VmRecord& record : view.records)
        if (record.status == RecordStatus::suspended && !start_forbidden(world, record.name))
            view.startable.push_back(record.name.str());
    auto claims = claims_of_all(world);
    for (const DomainState& domain : world.hypervisor().states()) {
        const Claim& claim = claims[domain.name];
        const Standing standing = claim.standing(world.instance);
        view.domains.push_back({domain.name, domain.state, standing == Standing::ours,
                                standing == Standing::renamed ? claim.unproven()->name : ""});
    }
    view.unguarded = unguarded(world, view.records, view.domains);
    view.undoable = undoable(world);
    look_at_journal(world, view);
    if (!view.bad_entries.empty()) return view; // the addresses that they note cannot be known
    view.claimed = world.journal.all_claims().ip;
    for (const Ipv4& address : database.unclaimed())
        if (!is_of(claims, address))
            view.addresses.push_back({address, world.journal.given_back_at(address)});
    return view;
}

void carry_out_gc(World& world, const GcRequest& request, std::vector<GcItem>& items,
                  const std::function<void(const GcItem&)>& told) {
    Run run{request};
    for (std::size_t begin = 0, end = 0; begin < items.size(); begin = end) {
        while (end < items.size() && items[end].action == items[begin].action) ++end;
        if (items[begin].action == GcAction::report) continue;
        std::vector<std::string> objects;
        for (std::size_t i = begin; i < end; ++i) objects.push_back(items[i].object);
        for_each_vm(
            world, objects, request.jobs,
            [&](World& own, std::size_t i) { carry_out(own, run, items[begin + i]); },
            [&](std::size_t i) { told(items[begin + i]); });
    }
}

} // namespace blockhost::expiry
