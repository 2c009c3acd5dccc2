/// Recovery: each open entry of a dead process, finished in the direction of its verb.

#include "lifecycle/recover.hpp"

#include "lifecycle/create.hpp"
#include "lifecycle/destroy.hpp"
#include "lifecycle/resume.hpp"
#include "lifecycle/starting.hpp"
#include "lifecycle/suspend.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
using Direction = Recovery::Direction;

constexpr auto give_up_patience = 45s; ///< of one that asked the other to give up: to notice it, and to undo

Direction direction_of(const std::string& verb) {
    if (verb == to_string(Verb::create)) return Direction::roll_back;
    for (const Verb forward : {Verb::destroy, Verb::suspend, Verb::resume})
        if (verb == to_string(forward)) return Direction::roll_forward;
    return Direction::abandon;
}

/// A start that died may still be carried out; whoever comes next must not take the silence for its end.
void await_late_start(World& world, const EntryView& left) {
    if (left.in_flight() != "start-domain") return;
    const Instant over = late_end(world, left);
    while (now() < over) {
        const auto state = world.hypervisor().state(left.name.str());
        if (!state || is_alive(*state)) return;
        std::this_thread::sleep_for(100ms);
    }
}

void roll_forward(World& world, JournalEntry& entry, const EntryView& left) {
    if (left.verb == to_string(Verb::suspend))
        roll_suspend_forward(world, entry, left);
    else if (left.verb == to_string(Verb::resume))
        roll_resume_forward(world, entry, left);
    else
        roll_destroy_forward(world, entry, left);
}

Recovery describe(const EntryView& entry, Direction direction) {
    return {entry.name, entry.verb, format_instant(entry.since), direction, entry.in_flight(), ""};
}

} // namespace

Instant late_end(const World& world, const EntryView& left) {
    const auto window = std::chrono::duration_cast<Instant::duration>(world.late_window);
    return std::max(left.last_start.value_or(left.since) + window,
                    now() + std::min<Instant::duration>(window, 2s));
}

Error foreign_entry(const World& world, const EntryView& left) {
    return Error(
        Code::foreign,
        fmt::format("the journal entry of {} names an operation of another instance", left.name.str()),
        "look at " + (world.journal.path() / (left.name.str() + ".journal")).string());
}

void recover_left(World& world, JournalEntry& entry) {
    if (!entry.left()) return;
    const EntryView left = *entry.left();
    switch (direction_of(left.verb)) {
    case Direction::roll_back:
        roll_back_create(world, entry, left);
        return;
    case Direction::roll_forward:
        roll_forward(world, entry, left);
        return;
    default:
        await_late_start(world, left);
        forget_half_kept_off(world, left.name);
        entry.end();
    }
}

JournalEntry take_entry(World& world, const VmName& name, Journal::Manner manner,
                        const Interruption& interruption, std::chrono::seconds patience) {
    const auto wait = manner == Journal::Manner::ask_to_give_up ? give_up_patience : patience;
    JournalEntry entry = world.journal.take(name, manner, Deadline::in(wait), interruption);
    if (entry.left())
        world.talk.warn(
            fmt::format("{} of {} was interrupted; finishing that first", entry.left()->verb, name.str()));
    recover_left(world, entry);
    return entry;
}

std::string_view to_string(Direction direction) {
    switch (direction) {
    case Direction::roll_back:
        return "roll back";
    case Direction::roll_forward:
        return "roll forward";
    case Direction::abandon:
        return "close as abandoned";
    case Direction::owner_alive:
        return "left alone: its process is alive";
    case Direction::unreadable:
        return "left alone: it could not be taken or read";
    }
    return "?";
}

namespace {

/// Looks at, or finishes, one entry; nothing when there is nothing to do.
std::optional<Recovery> recover_one(World& world, const VmName& name, Mode mode) {
    const auto view = world.journal.peek(name);
    const bool alive = view && world.journal.held(name);
    if (alive) return describe(*view, Direction::owner_alive);
    if (mode == Mode::look)
        return view ? std::optional(describe(*view, direction_of(view->verb))) : std::nullopt;
    JournalEntry entry = world.journal.take(name, Journal::Manner::wait, Deadline::in(100ms), Interruption());
    if (!entry.left()) return std::nullopt;
    Recovery found = describe(*entry.left(), direction_of(entry.left()->verb));
    world.talk.stage(fmt::format("recovering {}: {}", name.str(), to_string(found.direction)));
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
            all.push_back(
                {each, "unreadable entry", format_instant(now()), Direction::unreadable, "", error.what()});
        }
    }
    return all;
}

} // namespace blockhost
