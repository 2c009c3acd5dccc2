/// The doing half of gc: each item under its VM's own lock, looked at once more before anything happens.

#include "lifecycle/gc.hpp"

#include "lifecycle/adopt.hpp"
#include "lifecycle/crew.hpp"
#include "lifecycle/destroy.hpp"
#include "lifecycle/recover.hpp"
#include "lifecycle/suspend.hpp"
#include "lifecycle/veto.hpp"

#include <algorithm>
#include <atomic>
#include <set>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

constexpr auto reconnect_patience = 5s;

/// What the threads of one run share.
struct Run {
    const GcRequest& request;
    std::atomic<bool> libvirt_is_gone{false};
};

/// An end that is not "done".
struct Skip {
    std::string why;
};

void suspend_one(World& world, const Run& run, const VmName& name) {
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, Interruption());
    switch (suspend_expired(world, entry, run.request.patience)) {
    case Suspension::done:
        return;
    case Suspension::already_off:
        throw Skip{"it is suspended and off already"};
    case Suspension::extended:
        throw Skip{"it was extended meanwhile"};
    }
}

void destroy_one(World& world, const Run& run, const VmName& name) {
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, Interruption());
    if (!destroy_overdue(world, entry, run.request.grace_days))
        throw Skip{"it was extended or destroyed meanwhile"};
}

void adopt_one(World& world, const Run&, const VmName& name) {
    JournalEntry entry = take_entry(world, name, Journal::Manner::wait, Interruption());
    switch (adopt_record(world, entry)) {
    case Adoption::adopted:
        world.talk.warn(name.str() + " has a record again, made from its domain; whether it was extended "
                                     "is not known, so look at its expiry");
        return;
    case Adoption::late_arrival:
        throw Skip{"it was left by a create that was rolled back, and is gone"};
    case Adoption::not_needed:
        throw Skip{"it has a record by now"};
    }
}

void recover_one(World& world, const Run&, const VmName& name) {
    for (const Recovery& recovery : recover(world, name, Mode::act)) {
        if (recovery.direction == Recovery::Direction::owner_alive) throw Skip{"its process is alive"};
        if (!recovery.failure.empty()) throw Error(Code::hypervisor, recovery.failure);
    }
}

/// The domains with a mark, any instance's.
struct MarkedDomain {
    std::string name;
    DomainMark mark;
};
std::vector<MarkedDomain> marked_domains(World& world) {
    std::vector<MarkedDomain> all;
    for (const DomainUse& use : world.hypervisor().uses())
        if (auto mark = read_mark(use.metadata)) all.push_back({use.name, std::move(*mark)});
    return all;
}

/// A domain that says it has the address, whatever the registry says.
bool is_of(const std::vector<MarkedDomain>& domains, const Ipv4& address) {
    return std::any_of(domains.begin(), domains.end(),
                       [&](const MarkedDomain& each) { return each.mark.ip == address; });
}

/// Only while nobody has it or claims it, in the critical section that removes it.
void release_one(World& world, const Ipv4& address) {
    bool released = false;
    const auto domains = marked_domains(world);
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
    default:
        return;
    }
}

/// After a connection is lost one attempt is made to have it back; without it nothing more is begun.
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
        item.detail = error.what();
        note_lost_connection(world, run, error);
    } catch (const std::exception& error) {
        item.detail = error.what();
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
    GcView view;
    const Database database = world.registry.read();
    view.records = database.records(&view.bad_records);
    for (const VmRecord& record : view.records)
        if (record.status == RecordStatus::suspended && !start_forbidden(world, record.name))
            view.startable.push_back(record.name.str());
    const auto marked = marked_domains(world);
    std::set<std::string> ours;
    for (const MarkedDomain& domain : marked)
        if (domain.mark.instance == world.instance.str()) ours.insert(domain.name);
    for (const DomainState& domain : world.hypervisor().states())
        view.domains.push_back({domain.name, domain.state, ours.count(domain.name) != 0});
    look_at_journal(world, view);
    if (!view.bad_entries.empty()) return view; // whose addresses they note cannot be known
    view.claimed = world.journal.all_claims().ip;
    for (const Ipv4& address : database.unclaimed())
        if (!is_of(marked, address))
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

} // namespace blockhost
