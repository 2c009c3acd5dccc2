// SPDX-License-Identifier: MIT
/// Resuming, step by step: the record says active only once the domain runs.

#include "operations/resume.hpp"

#include "base/text/json.hpp"
#include "operations/bring_up.hpp"
#include "operations/recover.hpp"
#include "safety/isolation.hpp"
#include "safety/start.hpp"
#include "vm/clock_check.hpp"
#include "vm/expiry.hpp"
#include "vm/stay_off_marks.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

namespace bj = boost::json;

/// The caller of resume does not try again, and gc may hold the VM while it tells the network plugins.
constexpr std::chrono::seconds patience_of_the_paid{90};
/// How long a resume waits for a guest that is shutting down.
constexpr std::chrono::seconds patience_with_the_guest{60};

struct ResumeOperation {
    World& world;
    const Observation& seen;
    const Interruption& interruption;
    std::optional<std::int64_t> extend_days;
    Instant began;
    Instant expires_at{}; ///< once marked
};

void allow(ResumeOperation& op) {
    allow_start(op.world, op.seen.name);
}

void set_routes(ResumeOperation& op) {
    safety::place_routes(op.world, op.seen);
}

void start_domain(ResumeOperation& op) {
    safety::guard_definition(op.world, op.seen);
    bring_up(op.world, op.seen, Look::twice, patience_with_the_guest, op.interruption);
    safety::keep_off_no_more(op.world, op.seen.name);
}

/// Uses the expiry of this very moment: an engine may have extended it again meanwhile. A record that
/// somebody made active already is left as it is.
void mark(ResumeOperation& op) {
    op.world.registry.change([&](Database& database) {
        const auto record = database.find(op.seen.name);
        if (!record || record->status != RecordStatus::suspended) {
            op.expires_at = record && record->expires_at ? *record->expires_at : op.began;
            return;
        }
        op.expires_at =
            resumed_expiry(record->expires_at, op.extend_days, op.world.config.default_expiry_days, op.began);
        database.mark_active(op.seen.name, op.expires_at);
    });
}

constexpr std::string_view marking = "mark-active";
constexpr std::array<Step<ResumeOperation>, 4> steps{{
    {"allow-start", "allowing it to start", allow},
    {"set-routes", "setting routes and neighbour entries", set_routes},
    {"start-domain", "starting the domain", start_domain},
    {marking, "marking the VM active", mark},
}};

/// A VM that libvirt refused to start is suspended as before. The entry stays open for the next operation
/// when libvirt did not answer, since the call may still be carried out, and when the VM runs and is only to
/// be marked.
void settle_failure(ResumeOperation& op, JournalEntry& entry, const Error& reason) {
    if (is_lost_connection(reason) || (!entry.started().empty() && entry.started().back() == marking)) return;
    const auto state = op.world.hypervisor().state(op.seen.name.str());
    if (state && is_alive(*state)) return;
    const auto& record = *op.seen.record;
    forbid_start(op.world, op.seen.name, op.seen.domain->uuid, record.suspended_at.value_or(op.began));
    entry.end();
}

void run(ResumeOperation& op, JournalEntry& entry) {
    try {
        run_forward<ResumeOperation>(steps, op, entry, op.interruption, op.world);
    } catch (const Error& error) {
        settle_failure(op, entry, error);
        throw;
    }
    entry.end();
}

void check(const ResumeRequest& request) {
    if (request.extend_days && *request.extend_days < 1)
        throw Error(Code::invalid, "--extend-days must be at least 1",
                    "leave it out to keep an expiry that is still to come");
}

} // namespace

Instant preview_resume(World& world, const ResumeRequest& request) {
    check(request);
    const auto entry = world.journal.peek(request.name);
    const Observation seen = observe(world, request.name, entry ? entry->seen() : EntrySeen::none);
    decide(seen, Verb::resume);
    show_steps(world.progress, resume_operation, "without --dry-run it");
    return resumed_expiry(seen.record->expires_at, request.extend_days, world.config.default_expiry_days,
                          now());
}

Instant resume(World& world, const ResumeRequest& request) {
    check(request);
    world.registry.check_writable();
    warn_of_clock(world);
    JournalEntry entry =
        take_entry(world, request.name, Journal::Manner::wait, Interruption(), patience_of_the_paid);
    const Observation seen = observe(world, request.name);
    decide(seen, Verb::resume);
    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    ResumeOperation op{world, seen, interruption, request.extend_days, now()};
    bj::object parameters;
    if (request.extend_days) parameters["extend_days"] = *request.extend_days;
    entry.begin(world.next_operation(), std::string(to_string(Verb::resume)), parameters);
    run(op, entry);
    return op.expires_at;
}

namespace {

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    const Observation seen = observe(world, entry.name());
    const bool goes_on = seen.record && seen.record->status == RecordStatus::suspended && seen.domain &&
                         seen.proof != Proof::none;
    if (!goes_on) {
        entry.end();
        return;
    }
    Interruption never;
    never.ignore_from_now();
    ResumeOperation op{world, seen, never, {}, left.since};
    if (const auto days = json::integer_in(left.parameters, "extend_days")) op.extend_days = *days;
    run(op, entry);
}

} // namespace

constinit const OperationRow resume_operation{Verb::resume, Direction::roll_forward, names_of<steps>, finish};

} // namespace blockhost::operations
