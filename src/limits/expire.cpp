// SPDX-License-Identifier: MIT
/// How limits end by themselves: the part of throttle.hpp that timers and other verbs call.

#include "base/exceptions.hpp"
#include "limits/apply.hpp"
#include "limits/throttle.hpp"
#include "vm/observation.hpp"

#include <fmt/format.h>

namespace blockhost::limits {

namespace {

using namespace std::chrono_literals;

constexpr auto patience_when_passing = 200ms;
constexpr auto patience_of_other_verbs = 10s;

/// An operator's total IOPS limit cannot stand beside a read or write limit of throttle. When one of those
/// lasts longer than the other, the total stays aside with it, and its value replaces the one whose time is
/// over. Returns the part that lasts, if there is one.
std::optional<LimitPart> keep_total_aside(TuningOf which, const Settings& current,
                                          const std::map<Limit, LimitPart>& due, LimitNotes& notes,
                                          Settings& wanted) {
    const auto total = wanted.find(Limit::iops_total);
    if (total == wanted.end()) return std::nullopt;
    std::optional<LimitPart> lasts;
    for (const Limit limit : {Limit::iops_read, Limit::iops_write}) {
        const LimitPart* part = notes.find(which, limit);
        const auto shown = current.find(limit);
        if (part && due.count(limit) == 0 && shown != current.end() && part->covers(shown->second))
            lasts = *part;
    }
    if (!lasts) return std::nullopt;
    for (const Limit limit : {Limit::iops_read, Limit::iops_write})
        if (wanted.count(limit) != 0) wanted[limit] = total->second;
    notes.parts[{which, Limit::iops_total}].until = lasts->until;
    wanted.erase(Limit::iops_total);
    return lasts;
}

/// Restores, on one side, the settings from before the limits whose time is over. Limits that somebody else
/// changed, or that vanished with a restart, are forgotten.
void take_back(World& world, const Observation& seen, TuningOf which, const Moment& now, LimitNotes& notes,
               ThrottleEnd& end) {
    std::map<Limit, LimitPart> due;
    for (const auto& [key, part] : notes.parts)
        if (key.first == which && part.until && left(*part.until, now).count() == 0) due[key.second] = part;
    if (due.empty()) return;
    const bool is_there = which == TuningOf::running ? is_alive(seen.domain->state) : seen.domain->persistent;
    const Settings current = is_there ? look_at_limits(world, seen.name, which) : Settings();
    Settings wanted;
    for (const auto& [limit, part] : due) {
        const auto shown = current.find(limit);
        if (shown != current.end() && part.covers(shown->second))
            wanted[limit] = part.lasting.value_or(part.before);
        else
            notes.parts.erase({which, limit});
    }
    const auto lasts = keep_total_aside(which, current, due, notes, wanted);
    if (wanted.empty()) return;
    const Applied applied = apply_limits(world, seen.name, which, wanted, current);
    for (const auto& [limit, setting] : applied.reached) {
        end.lines.push_back(
            fmt::format("{}: {}{}", seen.name.str(), side_prefix(which), change_line(limit, setting)));
        const LimitPart& part = due.at(limit);
        if (lasts && wanted.at(limit) != part.before)
            notes.parts[{which, limit}] = {part.before, {setting}, lasts->until, std::nullopt};
        else if (part.lasting)
            notes.parts[{which, limit}] = {part.before, {*part.lasting}, std::nullopt, std::nullopt};
        else
            notes.parts.erase({which, limit});
    }
    for (const std::string& error : applied.errors)
        end.errors.push_back(fmt::format("{}: {}", seen.name.str(), error));
}

/// In a later boot the wall clock has told how much time is left; from then on this boot's clock counts.
void count_in_this_boot(LimitNotes& notes, const Moment& now) {
    for (auto& [key, part] : notes.parts) {
        if (!part.until || part.until->boot == now.boot) continue;
        const auto span = part.until->span;
        part.until = after(now, left(*part.until, now));
        part.until->span = span;
    }
}

void take_back_of(World& world, const VmName& name, ThrottleEnd& end) {
    const Moment now = moment_now();
    const auto peeked = LimitFile::peek(world.journal.place(), name);
    if (!peeked || !(peeked->due(now) || peeked->of_earlier_boot(now))) return;
    const auto file = LimitFile::take(world.journal.place(), name, Deadline::in(patience_when_passing));
    if (!file) return;
    LimitNotes notes = file->read();
    if (notes.of_earlier_boot(now)) {
        count_in_this_boot(notes, now);
        file->write(notes);
    }
    if (!notes.due(now)) return;
    const Observation seen = observe(world, name);
    if (!seen.domain || seen.domain->uuid != notes.uuid || seen.proof == Proof::none) {
        file->write({}); // the VM that had them is gone
        return;
    }
    take_back(world, seen, TuningOf::definition, now, notes, end);
    take_back(world, seen, TuningOf::running, now, notes, end);
    file->write(notes);
}

} // namespace

ThrottleEnd take_back_due_limits(World& world, std::chrono::seconds patience) {
    ThrottleEnd end;
    const Deadline deadline = Deadline::in(patience);
    for (const VmName& name : LimitFile::names(world.journal.place())) {
        if (deadline.passed()) break;
        try {
            take_back_of(world, name, end);
        } catch (const std::exception& error) {
            end.errors.push_back(fmt::format("{}: {}", name.str(), as_error(error).what()));
        }
    }
    return end;
}

void end_due_limits(World& world) noexcept {
    try {
        const ThrottleEnd end = take_back_due_limits(world, patience_of_other_verbs);
        for (const std::string& line : end.lines)
            world.progress.say(fmt::format("a limit has come to its end: {}", line));
        for (const std::string& error : end.errors)
            world.progress.warn(fmt::format("a limit whose time is over could not be taken back: {}", error));
    } catch (const std::exception& error) {
        world.progress.warn(
            fmt::format("limits whose time is over could not be looked at: {}", as_error(error).what()));
    }
}

} // namespace blockhost::limits
