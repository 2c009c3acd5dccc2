// SPDX-License-Identifier: MIT
#include "agent/service/restraint.hpp"

#include "base/text/text.hpp"
#include "platform/action_json.hpp"

#include <algorithm>

namespace blockhost::agent {

using execution::Operation;
using execution::State;
using platform::ActionKind;

namespace {

constexpr std::size_t enough = 200; ///< of one guest's operations

bool is_power_on(const PlannedAction& planned) {
    if (!planned.action) return false;
    const ActionKind kind = kind_of(*planned.action);
    return kind == ActionKind::start || kind == ActionKind::resume;
}

std::chrono::seconds pause_after(std::size_t failures) {
    constexpr std::chrono::seconds first(60), longest(6 * 3600);
    constexpr std::size_t most_doublings = 9;
    return std::min(first * (1 << std::min(failures - 1, most_doublings)), longest);
}

/// It was cancelled; who carried it out was told to end, or died; or the guest was another one than was
/// looked at: how the guest is by now, the look tells.
bool says_nothing(const Operation& ended) {
    const auto is = [&](Code code) { return ended.error && ended.error->code() == code; };
    return ended.state == State::cancelled || ended.state == State::unknown || is(Code::interrupted) ||
           is(Code::busy);
}

/// Why it should not be asked for now; empty: it may be.
std::string objection(const PlannedAction& planned, std::int64_t generation, Engine& engine, Instant now) {
    std::size_t failures = 0;
    std::optional<Instant> last;
    for (const Operation& each : engine.journal().of_guest(planned.target.guest, enough)) {
        if (each.source != execution::Source{execution::Source::Kind::desired, source_name(generation)} ||
            each.target != planned.target ||
            platform::to_json(each.action) != platform::to_json(*planned.action))
            continue;
        if (!is_end(each.state) || each.state == State::done) break;
        if (says_nothing(each)) continue;
        if (each.state == State::rejected)
            return "not asked for again: " + (each.error ? each.error->message() : "it was rejected");
        ++failures;
        if (!last) last = each.ended_at;
    }
    if (failures == 0 || !last) return "";
    const Instant due = *last + pause_after(failures);
    // A clock that went back keeps nobody waiting for longer than the pause.
    if (now >= due || *last > now) return "";
    return "it failed, and is tried again at " +
           format_instant(std::chrono::floor<std::chrono::seconds>(due));
}

} // namespace

std::vector<Remark> restrain(Plan& plan, const Desired& desired, const Observed& observed, Engine& engine,
                             Instant now) {
    Accepted& accepted = engine.accepted();
    for (const WantedGuest& wanted : desired.guests) {
        const auto seen = observed.guests.find(wanted.id);
        if (wanted.power == WantedPower::running && seen != observed.guests.end() &&
            seen->second.unreadable.empty() && seen->second.power == platform::Power::running)
            accepted.note_reached(wanted.id, desired.generation);
    }
    std::vector<Remark> left;
    std::erase_if(plan.actions, [&](const PlannedAction& planned) {
        if (planned.verdict == PlannedAction::Verdict::impossible || !planned.action) return false;
        std::string why;
        if (is_power_on(planned) && accepted.was_reached(planned.target.guest, desired.generation))
            why = "it ran, and is off: healing starts it if it crashed";
        else
            why = objection(planned, desired.generation, engine, now);
        if (why.empty()) return false;
        left.push_back({planned.target.guest, std::string(name_of(planned)) + ": " + why});
        return true;
    });
    return left;
}

} // namespace blockhost::agent
