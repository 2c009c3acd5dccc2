// SPDX-License-Identifier: MIT
#include "agent/heal.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/object.hpp>

namespace blockhost::agent {

using execution::Episode;
using execution::Healing;
using execution::HealingRules;
using execution::Operation;
using execution::Sight;
using execution::State;
using platform::Guest;
using platform::GuestId;
using platform::Outage;
using platform::Power;
using Stand = Tended::Stand;

namespace {

std::chrono::seconds seconds_in(json::Fields& fields, std::string_view key, std::chrono::seconds otherwise) {
    constexpr std::int64_t a_week = 7 * 24 * 3600;
    return std::chrono::seconds(fields.maybe_integer(key, 0, a_week).value_or(otherwise.count()));
}

HealingRules rules_in(const boost::json::value& section, const std::string& where) {
    json::Fields fields(section, where);
    HealingRules rules;
    rules.off_for = seconds_in(fields, "off_for_s", rules.off_for);
    rules.between = seconds_in(fields, "between_s", rules.between);
    rules.longest = seconds_in(fields, "longest_s", rules.longest);
    rules.steady = seconds_in(fields, "steady_s", rules.steady);
    rules.most_starts =
        static_cast<unsigned>(fields.maybe_integer("most_starts", 1, 1000).value_or(rules.most_starts));
    fields.finish();
    return rules;
}

/// Whether this program's own operations say that the guest was switched off, and not on again. What ended
/// before it was seen to run tells nothing any more.
bool was_stopped_by_us(std::vector<Operation> newest_first, const platform::Incarnation& incarnation,
                       const Episode& episode) {
    if (episode.running_since)
        std::erase_if(newest_first, [&](const Operation& each) {
            return each.ended_at && *each.ended_at < *episode.running_since;
        });
    return was_switched_off(newest_first, incarnation);
}

/// Whether it is at work on its guest, or will be without anybody's doing.
bool is_under_way(const Operation& operation) {
    // A signature may be waited for days; but a guest is not started under the hands of who destroys it.
    return operation.state != State::waiting || kind_of(operation.action) == platform::ActionKind::destroy;
}

} // namespace

HealingRules healing_rules_of(const Paths& paths) {
    return healing_rules_in(read_agent_json(paths));
}

HealingRules healing_rules_in(const AgentJson& agent) {
    const boost::json::value* section = agent.member("healing");
    if (section == nullptr) return {};
    try {
        return rules_in(*section, agent.where("healing"));
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
}

std::string_view to_string(Stand stand) {
    switch (stand) {
    case Stand::runs:
        return "runs";
    case Stand::left:
        return "left";
    case Stand::waits:
        return "waits";
    case Stand::starts:
        return "starts";
    case Stand::given_up:
        return "given up";
    case Stand::unknown:
        break;
    }
    return "unknown";
}

Healer::Healer(Engine& engine, const Paths& paths, HealingRules rules)
    : engine_(engine), episodes_(open_database(paths)), rules_(rules) {}

std::vector<Tended> Healer::round(const std::vector<GuestId>& only, Manner manner, Instant now) {
    platform::Guests guests = engine_.platform().guests();
    std::ranges::sort(guests.seen, {}, &Guest::id);
    for (const GuestId& id : only)
        if (std::ranges::find(guests.seen, id, &Guest::id) == guests.seen.end())
            throw Error(Code::not_found,
                        "there is no guest " + text::printable(id) +
                            (guests.doubt.empty() ? "" : " that can be seen: " + guests.doubt),
                        "'blockhost-libvirt guests' lists them");
    std::vector<Tended> all;
    for (const Guest& guest : guests.seen)
        if (only.empty() || std::ranges::find(only, guest.id) != only.end())
            all.push_back(tend(guest, manner, now));
    if (manner == Manner::act && guests.doubt.empty())
        for (const GuestId& id : episodes_.guests())
            if (std::ranges::find(guests.seen, id, &Guest::id) == guests.seen.end()) episodes_.forget(id);
    return all;
}

Tended Healer::tend(const Guest& listed, Manner manner, Instant now) {
    const auto wish = engine_.accepted().power_of(listed.id);
    const auto unknown = [&](const std::string& why) {
        return Tended{
            .target = {listed.id, listed.incarnation}, .why = why, .is_wanted = wish == WantedPower::running};
    };
    const auto left = [&](const std::string& why) {
        return Tended{.target = {listed.id, listed.incarnation}, .stand = Stand::left, .why = why};
    };
    if (!listed.unreadable.empty()) return unknown(listed.unreadable);
    const bool is_named = wish == WantedPower::running;
    try {
        // A list need not tell the incarnation. Once it is known, only a guest that is off is asked for it.
        const bool is_known = !listed.incarnation.empty() || !episodes_.find(listed.id).incarnation.empty();
        if (listed.power == Power::running && (is_known || !is_named))
            return tend_running(listed, is_named, manner, now);
        if (wish && !is_named) return left("the desired state wants it " + std::string(to_string(*wish)));
        const auto guest = engine_.platform().guest(listed.id);
        if (!guest) return unknown("it went away while it was looked at");
        if (!guest->unreadable.empty()) return unknown(guest->unreadable);
        if (guest->power == Power::running) return tend_running(*guest, is_named, manner, now);
        if (guest->power != Power::stopped) return left("it is " + std::string(to_string(guest->power)));
        return tend_off(*guest, wish, manner, now);
    } catch (const store::StoreError&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        return unknown(error.message());
    }
}

void Healer::keep(const GuestId& id, const Episode& before, const Episode& after, Manner manner) {
    if (manner == Manner::act && after != before) episodes_.keep(id, after);
}

Tended Healer::tend_running(const Guest& listed, bool is_named, Manner manner, Instant now) {
    Guest guest = listed;
    const Episode before = episodes_.find(guest.id);
    if (guest.incarnation.empty()) guest.incarnation = before.incarnation;
    // Of a guest that nobody wanted to be healed, and that cannot be told from another one, nothing is kept.
    if (is_named || !guest.incarnation.empty()) {
        Episode episode = before;
        execution::heal(episode, {.should_run = true, .guest = guest}, rules_, now);
        keep(guest.id, before, episode, manner);
    }
    return {.target = {guest.id, guest.incarnation}, .stand = Stand::runs, .is_wanted = is_named};
}

Sight Healer::sight_of(const Guest& guest, const Outage& outage, const Episode& episode) {
    constexpr std::size_t enough = 100;
    const auto operations = engine_.journal().of_guest(guest.id, enough);
    return {.should_run = true,
            .guest = guest,
            .stopped_on_purpose = outage.cause != Outage::Cause::crash ||
                                  was_stopped_by_us(operations, guest.incarnation, episode),
            .is_busy = std::ranges::any_of(
                operations, [](const Operation& each) { return !is_end(each.state) && is_under_way(each); })};
}

Tended Healer::tend_off(const Guest& guest, std::optional<WantedPower> wish, Manner manner, Instant now) {
    Tended tended{.target = {guest.id, guest.incarnation}, .stand = Stand::left};
    const Episode before = episodes_.find(guest.id);
    const bool seen_running = before.incarnation == guest.incarnation &&
                              (before.running_since || before.off_since || before.last_start);
    const Outage outage = engine_.platform().outage(guest, seen_running);
    tended.is_wanted = wish == WantedPower::running || (!wish && outage.should_run.value_or(false));
    if (!tended.is_wanted) {
        tended.why = "nobody wants it on";
        return tended;
    }
    const Sight sight = sight_of(guest, outage, before);
    Episode episode = before;
    const Healing healing = execution::heal(episode, sight, rules_, now);
    keep(guest.id, before, episode, manner);
    tended.due = healing.due;
    switch (healing.act) {
    case Healing::Do::wait:
        tended.stand = Stand::waits;
        tended.why = outage.why + "; " + healing.why;
        return tended;
    case Healing::Do::report:
        tended.is_news = manner == Manner::act;
        tended.stand = Stand::given_up;
        tended.why = outage.why + "; " + healing.why;
        return tended;
    case Healing::Do::start:
        tended.stand = Stand::starts;
        tended.why = outage.why + "; " + healing.why;
        break;
    case Healing::Do::nothing:
        if (sight.stopped_on_purpose)
            tended.why = outage.cause != Outage::Cause::crash ? outage.why : "an operation switched it off";
        else if (episode.given_up)
            tended.stand = Stand::given_up, tended.why = "it did not stay up: somebody has to start it";
        else
            tended.why =
                guest.lock.empty() ? "an operation on it is under way" : "it is locked: " + guest.lock;
        return tended;
    }
    if (manner == Manner::look) return tended;
    // What is not begun soon is judged anew.
    constexpr std::chrono::minutes soon(1);
    tended.operation =
        engine_.journal()
            .submit({.source = {execution::Source::Kind::healing, ""},
                     .target = tended.target,
                     .action = platform::Start{},
                     .begin_before = std::chrono::floor<Instant::duration>(blockhost::now() + soon)})
            .operation.id;
    return tended;
}

} // namespace blockhost::agent
