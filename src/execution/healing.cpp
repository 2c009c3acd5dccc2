// SPDX-License-Identifier: MIT
#include "execution/healing.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::execution {

namespace {

using platform::Guest;
using platform::Power;
using Do = Healing::Do;

/// Moments to come are those of a clock that went back: they count as now, so that no wait is for ever.
void mend(Episode& episode, Instant now) {
    for (auto* moment : {&episode.last_start, &episode.running_since, &episode.off_since})
        if (*moment && **moment > now) *moment = now;
}

Healing seen_running(Episode& episode, const HealingRules& rules, Instant now) {
    episode.off_since.reset();
    if (!episode.running_since) episode.running_since = now;
    if (now - *episode.running_since >= rules.steady) {
        episode.starts = 0;
        episode.given_up = false;
    }
    return {};
}

std::chrono::seconds pause_after(unsigned starts, const HealingRules& rules) {
    std::chrono::seconds pause = rules.between;
    for (unsigned i = 1; i < starts && pause < rules.longest; ++i) pause *= 2;
    return std::min(pause, rules.longest);
}

Healing seen_off(Episode& episode, const HealingRules& rules, Instant now) {
    if (!episode.off_since) episode.off_since = now;
    if (episode.given_up) return {};
    if (episode.starts >= rules.most_starts) {
        episode.given_up = true;
        return {Do::report, fmt::format("it was started {} times and did not stay up: it is left off until "
                                        "somebody starts it",
                                        episode.starts)};
    }
    Instant due = *episode.off_since + rules.off_for;
    if (episode.starts > 0) due = std::max(due, *episode.last_start + pause_after(episode.starts, rules));
    if (now < due)
        return {Do::wait,
                fmt::format("it is off, and is started again in {} s",
                            std::chrono::ceil<std::chrono::seconds>(due - now).count()),
                due};
    ++episode.starts;
    episode.last_start = now;
    return {Do::start,
            fmt::format("it should run, and is off: start {} of {}", episode.starts, rules.most_starts)};
}

} // namespace

Healing heal(Episode& episode, const Sight& sight, const HealingRules& rules, Instant now) {
    if (!sight.guest || !sight.guest->unreadable.empty()) return {};
    const Guest& guest = *sight.guest;
    if (guest.incarnation != episode.incarnation) episode = {.incarnation = guest.incarnation};
    mend(episode, now);
    if (guest.power == Power::running) return seen_running(episode, rules, now);
    if (guest.power != Power::stopped) return {};
    const bool was_seen = episode.running_since || episode.off_since;
    episode.running_since.reset();
    if (!sight.should_run || sight.stopped_on_purpose) {
        episode = {.incarnation = guest.incarnation};
        return {};
    }
    if (sight.is_busy || !guest.lock.empty()) {
        // Whoever works on it may have it off: it counts as off from then on.
        if (was_seen) episode.off_since = now;
        return {};
    }
    return seen_off(episode, rules, now);
}

bool was_switched_off(std::span<const Operation> newest_first, const platform::Incarnation& incarnation) {
    for (const Operation& operation : newest_first) {
        if (operation.target.incarnation != incarnation || !operation.begun_at) continue;
        const platform::ActionKind kind = kind_of(operation.action);
        const bool on = kind == platform::ActionKind::start || kind == platform::ActionKind::resume;
        const bool may_have = operation.state != State::failed;
        if (on && operation.source.kind != Source::Kind::healing) return false;
        if (kind == platform::ActionKind::stop && may_have) return true;
    }
    return false;
}

} // namespace blockhost::execution
