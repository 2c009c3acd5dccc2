/// Suspending, step by step: off before it is marked, forbidden to start before it is marked.

#include "lifecycle/suspend.hpp"

#include "base/json.hpp"
#include "lifecycle/adopt.hpp"
#include "lifecycle/expiry.hpp"
#include "lifecycle/recover.hpp"
#include "lifecycle/starting.hpp"
#include "lifecycle/veto.hpp"

#include <array>
#include <fmt/format.h>
#include <thread>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;

constexpr auto ask_again_after = 5s;

/// Active and expired, or suspended and unpaid: to be off and marked so.
bool is_due(const VmRecord& record) {
    return is_expired(record, now()) || is_unpaid(record, now());
}

struct SuspendOperation {
    World& world;
    const Observation& seen;
    const Interruption& interruption;
    std::chrono::seconds patience;
    OperationId id;
    bool was_running = false; ///< when the operation began
    bool extended = false;

    const VmName& name() const { return seen.name; }
    bool is_alive() const {
        const auto state = world.hypervisor().state(name().str());
        return state && blockhost::is_alive(*state);
    }
};

/// Before it is off, so that a start in between is refused.
void forbid(SuspendOperation& op) {
    if (!op.seen.domain) return;
    adopt_domain(op.world, op.seen, op.id);
    const bool dated = op.seen.record && op.seen.record->suspended_at;
    forbid_start(op.world, op.name(), op.seen.domain->uuid, dated ? *op.seen.record->suspended_at : now());
}

/// A paused guest hears no request, and one that boots may miss it: it is asked again now and then.
void shut_down(SuspendOperation& op) {
    Hypervisor& hypervisor = op.world.hypervisor();
    const std::string& name = op.name().str();
    hypervisor.watch(name);
    for (Deadline deadline = Deadline::in (op.patience), asked = Deadline::in(0s); !deadline.passed();) {
        const auto state = hypervisor.state(name);
        if (!state || !is_alive(*state) || state == PowerState::paused) return;
        if (state == PowerState::running && asked.passed()) {
            hypervisor.shutdown(name);
            asked = Deadline::in(ask_again_after);
        }
        op.interruption.check();
        hypervisor.wait(std::min<std::chrono::milliseconds>(deadline.left(), 200ms));
    }
    if (op.is_alive())
        op.world.talk.warn(
            fmt::format("{} did not shut down within {} s; it is forced off", name, op.patience.count()));
}

void force_off(SuspendOperation& op) {
    if (!op.seen.domain) return;
    op.world.hypervisor().power_off(op.name().str());
    if (op.is_alive())
        throw Error(Code::hypervisor, fmt::format("{} is not off after it was forced off", op.name().str()),
                    "look at 'virsh dominfo " + op.name().str() + "'; the next gc tries again");
}

/// The last look at its expiry, in the critical section that marks it.
void mark(SuspendOperation& op) {
    op.world.registry.change([&](Database& database) {
        const auto record = database.find(op.name());
        op.extended = !record || !is_due(*record);
        if (!op.extended) database.mark_suspended(op.name(), now());
    });
}

/// The extend won: as if nothing had been done.
void give_back(SuspendOperation& op) {
    if (!op.extended) return;
    allow_start(op.world, op.name());
    if (!op.was_running || !op.world.hypervisor().find(op.name().str())) return;
    place_routes(op.world, op.seen);
    ensure_filters(op.world, op.seen);
    bring_up(op.world, op.seen);
}

constexpr std::array<Step<SuspendOperation>, 5> steps{{
    {"forbid-start", "forbidding it to start", forbid},
    {"shut-down", "asking the guest to shut down", shut_down},
    {"force-off", "making sure that it is off", force_off},
    {"mark-suspended", "marking the VM suspended", mark},
    {"give-back", "looking whether it was extended", give_back},
}};

/// Whoever asked a suspension to give up kills or destroys the VM next: nobody need finish it.
void run(SuspendOperation& op, JournalEntry& entry) {
    try {
        run_forward<SuspendOperation>(steps, op, entry, op.interruption, op.world.talk);
    } catch (const Error&) {
        if (op.interruption.reason() != Interruption::Reason::asked_to_give_up) throw;
        allow_start(op.world, op.name());
        entry.end();
        throw;
    }
    entry.end();
}

bool runs(const Observation& seen) {
    return seen.domain && is_alive(seen.domain->state);
}

/// What libvirt may still carry out of the dead process's last call must not hit a VM that was given back.
void await_late_off(const World& world, const EntryView& left) {
    if (left.in_flight() != "shut-down" && left.in_flight() != "force-off") return;
    for (const Instant over = late_end(world, left); now() < over;) std::this_thread::sleep_for(100ms);
}

} // namespace

Suspension suspend_expired(World& world, JournalEntry& entry, std::chrono::seconds patience) {
    const Observation seen = observe(world, entry.name());
    if (seen.record && seen.record->status != RecordStatus::destroyed && !is_due(*seen.record))
        return Suspension::extended;
    if (decide(seen, Verb::suspend).kind == Verdict::Kind::nothing) return Suspension::already_off;

    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    SuspendOperation op{world, seen, interruption, patience, OperationId::make(world.instance), runs(seen)};
    entry.begin(op.id, std::string(to_string(Verb::suspend)), {{"was_running", op.was_running}});
    run(op, entry);
    return op.extended ? Suspension::extended : Suspension::done;
}

void roll_suspend_forward(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    const Observation seen = observe(world, entry.name());
    Interruption never;
    never.ignore_from_now();
    const bj::value* ran = left.parameters.if_contains("was_running");
    SuspendOperation op{world, seen,           never,
                        5s,    left.operation, (ran && ran->is_bool() && ran->get_bool()) || runs(seen)};
    const bool ours = !seen.domain || seen.proof != Proof::none;
    if (ours && seen.record && is_due(*seen.record)) {
        run(op, entry);
        return;
    }
    op.extended = true;
    op.was_running = op.was_running && ours && seen.record && seen.record->status == RecordStatus::active;
    if (op.was_running) await_late_off(world, left);
    give_back(op);
    entry.end();
}

} // namespace blockhost
