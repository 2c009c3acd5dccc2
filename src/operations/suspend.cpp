// SPDX-License-Identifier: MIT
/// Suspending, step by step: the VM is off, and forbidden to start, before it is marked.

#include "operations/suspend.hpp"

#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "safety/adopt.hpp"
#include "safety/isolation.hpp"
#include "safety/start.hpp"
#include "vm/expiry.hpp"
#include "vm/stay_off_marks.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr auto ask_again_after = 5s;

/// Active and expired, or suspended and unpaid: the VM must be off and marked suspended.
bool is_due(const VmRecord& record, Instant when) {
    return is_expired(record, when) || is_unpaid(record, when);
}

struct SuspendOperation {
    World& world;
    const Observation& seen;
    const Interruption& interruption;
    std::chrono::seconds patience;
    OperationId id;
    /// When the VM was judged. Whatever clock a recovery finds, only a later word in the record changes the
    /// verdict.
    Instant judged_at;
    bool was_running = false; ///< when the operation began
    bool extended = false;
    bool marked = false;

    const VmName& name() const { return seen.name; }
    /// A caller with a deadline of its own gives the guest at most half of what is left.
    std::chrono::milliseconds patience_left() const {
        return world.end ? std::min<std::chrono::milliseconds>(patience, world.end->left() / 2) : patience;
    }
    bool is_alive() const {
        const auto state = world.hypervisor().state(name().str());
        return state && blockhost::is_alive(*state);
    }
};

/// The start veto recognises a domain by its mark.
void forbid_start_of(World& world, const Observation& seen, const OperationId& operation) {
    if (!seen.domain) return;
    safety::adopt_domain(world, seen, operation);
    const bool dated = seen.record && seen.record->suspended_at;
    forbid_start(world, seen.name, seen.domain->uuid, dated ? *seen.record->suspended_at : now());
}

/// Done before the VM is off, so that a start in between is refused, and so that a VM that is paid for later
/// can still be started.
void forbid(SuspendOperation& op) {
    keep_definition(op.world, op.seen);
    forbid_start_of(op.world, op.seen, op.id);
}

/// A request that libvirt refuses is not the end: the guest is forced off then.
void ask_to_shut_down(SuspendOperation& op) {
    try {
        op.world.hypervisor().shutdown(op.name().str());
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        op.world.progress.warn(error.what());
    }
}

/// A paused or crashed guest hears no request, and one that boots may miss it: it is asked again now and
/// then.
void shut_down(SuspendOperation& op) {
    Hypervisor& hypervisor = op.world.hypervisor();
    const std::string& name = op.name().str();
    hypervisor.watch(name);
    const Deadline deadline = Deadline::in(op.patience_left());
    for (Deadline asked = Deadline::in(0s); !deadline.passed();) {
        const auto state = hypervisor.state(name);
        const bool deaf = state == PowerState::paused || state == PowerState::crashed;
        if (!state || !is_alive(*state) || deaf) return;
        if (state == PowerState::running && asked.passed()) {
            ask_to_shut_down(op);
            asked = Deadline::in(ask_again_after);
        }
        op.interruption.check();
        hypervisor.wait(std::min<std::chrono::milliseconds>(deadline.left(), 200ms));
    }
    if (op.is_alive())
        op.world.progress.warn(
            fmt::format("{} did not shut down within {} s; it is forced off", name, op.patience.count()));
}

void force_off(SuspendOperation& op) {
    if (!op.seen.domain) return;
    op.world.hypervisor().power_off(op.name().str());
    if (op.is_alive())
        throw Error(Code::hypervisor, fmt::format("{} is not off after it was forced off", op.name().str()),
                    "look at 'virsh dominfo " + op.name().str() + "'; the next gc tries again");
}

/// Looks at the expiry for the last time, in the critical section that marks the VM.
void mark(SuspendOperation& op) {
    op.world.registry.change([&](Database& database) {
        const auto record = database.find(op.name());
        op.extended = !record || !is_due(*record, op.judged_at);
        if (!op.extended) database.mark_suspended(op.name(), now());
        op.marked = !op.extended;
    });
}

/// An extension won: undoes everything. A VM that libvirt then refuses to start is active and off, which
/// start and boot can mend; the operation is over all the same.
void give_back(SuspendOperation& op) {
    if (!op.extended) return;
    allow_start(op.world, op.name());
    if (!op.was_running || !op.world.hypervisor().find(op.name().str())) return;
    try {
        safety::place_routes(op.world, op.seen);
        safety::guard_definition(op.world, op.seen);
        bring_up(op.world, op.seen, Look::once, op.patience_left(), op.interruption);
    } catch (const Error& error) {
        if (is_lost_connection(error)) throw;
        op.world.progress.warn(fmt::format("{0} was extended but could not be started again: {1}; "
                                           "'blockhost-libvirt start {0}' tries it",
                                           op.name().str(), error.what()));
    }
}

constexpr std::array<Step<SuspendOperation>, 5> steps{{
    {"forbid-start", "forbidding it to start", forbid},
    {"shut-down", "asking the guest to shut down", shut_down},
    {"force-off", "making sure that it is off", force_off},
    {"mark-suspended", "marking the VM suspended", mark},
    {"give-back", "looking whether it was extended", give_back},
}};

/// The operation that asked a suspension to give up kills or destroys the VM next: nobody need finish the
/// suspension.
void run(SuspendOperation& op, JournalEntry& entry) {
    try {
        run_forward<SuspendOperation>(steps, op, entry, op.interruption, op.world);
    } catch (const Error&) {
        if (op.interruption.reason() != Interruption::Reason::asked_to_give_up) throw;
        if (!op.marked) allow_start(op.world, op.name());
        entry.end();
        throw;
    }
    entry.end();
}

bool runs(const Observation& seen) {
    return seen.domain && is_alive(seen.domain->state);
}

/// The guest may still be shutting down, and libvirt may still be forcing it off. A VM that was given back
/// before that is over would go off with nobody to start it.
void await_requested_off(SuspendOperation& op, const EntryView& left) {
    const auto began = [&](std::string_view step) {
        return std::find(left.started.begin(), left.started.end(), step) != left.started.end();
    };
    if (!began("shut-down")) return;
    const Deadline over = late_end(op.world, left);
    for (const Deadline deadline = Deadline::in(op.patience_left()); op.is_alive();) {
        if (deadline.passed() && (over.passed() || !began("force-off"))) return;
        pause_for(100ms);
    }
}

} // namespace

Suspension suspend_expired(World& world, JournalEntry& entry, std::chrono::seconds patience) {
    const Observation seen = observe(world, entry.name());
    const Instant when = now();
    if (seen.record && seen.record->status != RecordStatus::destroyed && !is_due(*seen.record, when))
        return Suspension::extended;
    const OperationId id = OperationId::make(world.instance);
    if (decide(seen, Verb::suspend).kind == Verdict::Kind::nothing) {
        if (start_forbidden(world, seen.name)) return Suspension::already_off;
        forbid_start_of(world, seen, id);
        return Suspension::done;
    }

    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    SuspendOperation op{world, seen, interruption, patience, id, when, runs(seen)};
    entry.begin(op.id, std::string(to_string(Verb::suspend)),
                {{"was_running", op.was_running},
                 {"judged_at", format_instant(when)},
                 {"patience_s", patience.count()}});
    run(op, entry);
    return op.extended ? Suspension::extended : Suspension::done;
}

namespace {

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    const Observation seen = observe(world, entry.name());
    Interruption never;
    never.ignore_from_now();
    const auto seconds = json::integer_in(left.parameters, "patience_s").value_or(0);
    SuspendOperation op{world,
                        seen,
                        never,
                        std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, 600)),
                        left.operation,
                        parse_instant(json::string_or(left.parameters, "judged_at", "")).value_or(left.since),
                        json::is_true(left.parameters, "was_running") || runs(seen)};
    const bool ours = !seen.domain || seen.proof != Proof::none;
    if (ours && seen.record && is_due(*seen.record, op.judged_at)) {
        run(op, entry);
        return;
    }
    op.extended = true;
    op.was_running = op.was_running && ours && seen.record && seen.record->status == RecordStatus::active;
    if (op.was_running) await_requested_off(op, left);
    give_back(op);
    entry.end();
}

} // namespace

constinit const OperationRow suspend_operation{Verb::suspend, Direction::roll_forward, names_of<steps>,
                                               finish};

} // namespace blockhost::operations
