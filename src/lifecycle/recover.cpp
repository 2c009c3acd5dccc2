/// Recovery: each open entry of a dead process, finished in the direction of its verb.

#include "lifecycle/recover.hpp"

#include "lifecycle/create.hpp"
#include "lifecycle/destroy.hpp"

#include <fmt/format.h>
#include <thread>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
using Direction = Recovery::Direction;

constexpr auto patience = 20s;         ///< of a verb that waits for another to end
constexpr auto give_up_patience = 10s; ///< of one that asked the other to give up
constexpr auto destroy_patience = 45s; ///< a destroy cannot be asked to give up, but ends within this

Direction direction_of(const std::string& verb) {
    if (verb == to_string(Verb::create)) return Direction::roll_back;
    if (verb == to_string(Verb::destroy)) return Direction::roll_forward;
    return Direction::abandon;
}

/// A start that died may still be carried out; whoever comes next must not take the silence for its end.
void await_late_start(World& world, const EntryView& left) {
    if (left.in_flight() != "start-domain") return;
    const Instant over = *left.last_start + std::chrono::duration_cast<Instant::duration>(world.late_window);
    while (now() < over) {
        const auto state = world.hypervisor().state(left.name.str());
        if (!state || is_alive(*state)) return;
        std::this_thread::sleep_for(100ms);
    }
}

Recovery describe(const EntryView& entry, Direction direction) {
    return {entry.name, entry.verb, format_instant(entry.since), direction, entry.in_flight(), ""};
}

} // namespace

void recover_left(World& world, JournalEntry& entry) {
    if (!entry.left()) return;
    const EntryView left = *entry.left();
    switch (direction_of(left.verb)) {
    case Direction::roll_back:
        roll_back_create(world, entry, left);
        return;
    case Direction::roll_forward:
        roll_destroy_forward(world, entry, left);
        return;
    default:
        await_late_start(world, left);
        entry.end();
    }
}

JournalEntry take_entry(World& world, const VmName& name, Journal::Manner manner,
                        const Interruption& interruption) {
    std::chrono::seconds wait = patience;
    if (manner == Journal::Manner::ask_to_give_up) {
        const auto holder = world.journal.peek(name);
        const bool unstoppable = holder && direction_of(holder->verb) == Direction::roll_forward;
        wait = unstoppable ? destroy_patience : give_up_patience;
    }
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
    }
    return "?";
}

std::vector<Recovery> recover(World& world, const std::optional<VmName>& name, Mode mode) {
    std::vector<Recovery> found;
    for (const VmName& each : name ? std::vector<VmName>{*name} : world.journal.names()) {
        const auto view = world.journal.peek(each);
        if (view && (world.journal.held(each) || mode == Mode::look)) {
            found.push_back(describe(*view, world.journal.held(each) ? Direction::owner_alive
                                                                     : direction_of(view->verb)));
            continue;
        }
        if (mode == Mode::look) continue;
        try {
            JournalEntry entry =
                world.journal.take(each, Journal::Manner::wait, Deadline::in(100ms), Interruption());
            if (!entry.left()) continue;
            found.push_back(describe(*entry.left(), direction_of(entry.left()->verb)));
            world.talk.stage(fmt::format("recovering {}: {}", each.str(), to_string(found.back().direction)));
            recover_left(world, entry);
        } catch (const Error& error) {
            if (view) {
                if (found.empty() || found.back().name != each)
                    found.push_back(describe(*view, direction_of(view->verb)));
                found.back().failure = error.what();
            }
        }
    }
    return found;
}

} // namespace blockhost
