/// Resuming, step by step: the record says active only once the domain runs.

#include "lifecycle/resume.hpp"

#include "lifecycle/expiry.hpp"
#include "lifecycle/recover.hpp"
#include "lifecycle/starting.hpp"
#include "lifecycle/veto.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost {

namespace {

namespace bj = boost::json;

/// Who calls resume does not try again, and gc may hold the VM while it tells the network plugins.
constexpr std::chrono::seconds patience_of_the_paid{90};

struct ResumeOperation {
    World& world;
    const Observation& seen;
    std::optional<std::int64_t> extend_days;
    Instant began;
    Instant expires_at{}; ///< once marked
};

void allow(ResumeOperation& op) {
    allow_start(op.world, op.seen.name);
}

void set_routes(ResumeOperation& op) {
    place_routes(op.world, op.seen);
}

void start_domain(ResumeOperation& op) {
    ensure_filters(op.world, op.seen);
    bring_up(op.world, op.seen);
    keep_off_no_more(op.world, op.seen.name);
}

/// With the expiry of this very moment: an engine may have extended it again meanwhile. One that somebody
/// made active already is left as they made it.
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

/// A VM that libvirt refused to start is suspended as before. A call that libvirt did not answer may still be
/// carried out, and a VM that runs already is only to be marked: both are for whoever comes next.
void settle_failure(ResumeOperation& op, JournalEntry& entry, const Error& reason) {
    if (is_lost_connection(reason) || (!entry.started().empty() && entry.started().back() == marking)) return;
    const auto state = op.world.hypervisor().state(op.seen.name.str());
    if (state && is_alive(*state)) return;
    const auto& record = *op.seen.record;
    forbid_start(op.world, op.seen.name, op.seen.domain->uuid, record.suspended_at.value_or(op.began));
    entry.end();
}

void run(ResumeOperation& op, JournalEntry& entry, const Interruption& interruption) {
    try {
        run_forward<ResumeOperation>(steps, op, entry, interruption, op.world);
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
    world.talk.stage("dry run: nothing is changed; without --dry-run it would carry out:");
    for (const auto& step : steps) world.talk.stage(fmt::format("  {}", step.name));
    return resumed_expiry(seen.record->expires_at, request.extend_days, world.config.default_expiry_days,
                          now());
}

Instant resume(World& world, const ResumeRequest& request) {
    check(request);
    world.registry.check_writable();
    JournalEntry entry =
        take_entry(world, request.name, Journal::Manner::wait, Interruption(), patience_of_the_paid);
    const Observation seen = observe(world, request.name);
    decide(seen, Verb::resume);
    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    ResumeOperation op{world, seen, request.extend_days, now()};
    bj::object parameters;
    if (request.extend_days) parameters["extend_days"] = *request.extend_days;
    entry.begin(OperationId::make(world.instance), std::string(to_string(Verb::resume)), parameters);
    run(op, entry, interruption);
    return op.expires_at;
}

void roll_resume_forward(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    const Observation seen = observe(world, entry.name());
    const bool goes_on = seen.record && seen.record->status == RecordStatus::suspended && seen.domain &&
                         seen.proof != Proof::none;
    if (!goes_on) {
        entry.end();
        return;
    }
    ResumeOperation op{world, seen, {}, left.since};
    if (const bj::value* days = left.parameters.if_contains("extend_days"); days && days->is_int64())
        op.extend_days = days->get_int64();
    Interruption never;
    never.ignore_from_now();
    run(op, entry, never);
}

} // namespace blockhost
