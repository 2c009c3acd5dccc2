// SPDX-License-Identifier: MIT
/// Recovery: finishes each open entry of a dead process in the direction of its verb.

#include "operations/recover.hpp"

#include "base/boot_clock.hpp"
#include "base/patience.hpp"
#include "vm/observation.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr auto give_up_patience = 45s; ///< for the holder to notice the request to give up, and to undo
constexpr std::chrono::milliseconds time_to_act = 10s; ///< what a wait for others leaves of the caller's time

Recovery describe(const EntryView& entry) {
    return {.name = entry.name,
            .verb = entry.verb,
            .since = format_instant(entry.since),
            .direction = to_string(operation_of(entry.verb).direction),
            .in_flight = entry.in_flight()};
}

void require_meant(World& world, const VmName& name) {
    if (world.meant_domain.empty()) return;
    const Observation seen = observe(world, name);
    if (seen.domain && seen.domain->uuid == world.meant_domain) return;
    throw Error(Code::wrong_state,
                "guest " + name.str() + " is not the one that is meant: it was made anew since",
                "look at it, and decide again");
}

} // namespace

Deadline late_end(const World& world, const EntryView& left) {
    const Moment moment = moment_now();
    if (!left.boot.empty() && !moment.boot.empty() && left.boot != moment.boot) return Deadline::in(0ms);
    const auto by_wall = moment.wall - left.last_start.value_or(left.since);
    const auto age = left.last_uptime_ms ? moment.since_boot - std::chrono::milliseconds(*left.last_uptime_ms)
                                         : std::chrono::duration_cast<std::chrono::milliseconds>(by_wall);
    const auto least = std::min<std::chrono::milliseconds>(world.late_window, 2s);
    // An age that a clock or a hand made negative counts as none.
    return Deadline::in(std::clamp(world.late_window - std::max(age, 0ms), least, world.late_window));
}

void await_late_calls(const World& world, const EntryView& left) {
    if (left.in_flight().empty()) return;
    for (const Deadline over = late_end(world, left); !over.passed();) pause_for(100ms);
}

Error foreign_entry(const World& world, const EntryView& left) {
    return Error(
        Code::foreign,
        fmt::format("the journal entry of {} names an operation of another instance", left.name.str()),
        "look at " + world.journal.place().string(left.name.str() + ".journal"));
}

void recover_left(World& world, JournalEntry& entry) {
    if (!entry.left()) return;
    const EntryView left = *entry.left();
    operation_of(left.verb).finish(world, entry, left);
}

JournalEntry take_entry(World& world, const VmName& name, Journal::Manner manner,
                        const Interruption& interruption, std::chrono::seconds patience) {
    std::chrono::milliseconds wait = manner == Journal::Manner::ask_to_give_up ? give_up_patience : patience;
    if (world.end) wait = std::min(wait, std::max(world.end->left() - time_to_act, 0ms));
    JournalEntry entry = world.journal.take(name, manner, Deadline::in(wait), interruption);
    if (entry.left())
        world.progress.warn(
            fmt::format("{} of {} was interrupted; finishing that first", entry.left()->verb, name.str()));
    recover_left(world, entry);
    require_meant(world, name);
    return entry;
}

namespace {

/// Looks at one entry, or finishes it; nothing when there is nothing to do.
std::optional<Recovery> recover_one(World& world, const VmName& name, Mode mode) {
    const auto view = world.journal.peek(name);
    if (view && world.journal.held(name)) {
        Recovery found = describe(*view);
        found.direction = "left alone: its process is alive";
        found.owner_alive = true;
        return found;
    }
    if (mode == Mode::look) return view ? std::optional(describe(*view)) : std::nullopt;
    JournalEntry entry = world.journal.take(name, Journal::Manner::wait, Deadline::in(100ms), Interruption());
    if (!entry.left()) return std::nullopt;
    Recovery found = describe(*entry.left());
    world.progress.stage(fmt::format("recovering {}: {}", name.str(), found.direction));
    try {
        recover_left(world, entry);
    } catch (const Error& error) {
        found.failure = error.what();
    }
    return found;
}

} // namespace

std::vector<Recovery> recover(World& world, const std::optional<VmName>& name, Mode mode) {
    std::vector<Recovery> all;
    for (const VmName& each : name ? std::vector<VmName>{*name} : world.journal.names()) {
        try {
            if (auto one = recover_one(world, each, mode)) all.push_back(std::move(*one));
        } catch (const Error& error) {
            all.push_back({.name = each,
                           .verb = "unreadable entry",
                           .since = format_instant(now()),
                           .direction = "left alone: it could not be taken or read",
                           .failure = error.what()});
        }
    }
    return all;
}

} // namespace blockhost::operations
