#pragma once
/// Operations as lists of steps, and the two ways through such a list: forward, and back.

#include "base/fault.hpp"
#include "base/interrupt.hpp"
#include "lifecycle/world.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace blockhost {

/// What of a step may still happen after the death of the process that asked libvirt for it.
enum class Late { nothing, volume, domain, running };

/// One step of an operation of type `Operation`. Both functions may be repeated safely.
template<class Operation>
struct Step {
    std::string_view name; ///< stable: printed by dry runs, stored in the journal, compared by tests
    std::string_view text; ///< what a person reads while it runs
    void (*apply)(Operation&);
    void (*revert)(Operation&) = nullptr; ///< nothing for a step that makes nothing
    Late late = Late::nothing;
    bool notes_first = false; ///< before it does anything it writes a note, which syncs its start too
};

/// Applies every step in order, journaled and timed; interruptions are looked at before each.
template<class Operation>
void run_forward(std::span<const Step<Operation>> steps, Operation& operation, JournalEntry& entry,
                 const Interruption& interruption, World& world) {
    for (const Step<Operation>& step : steps) {
        interruption.check();
        world.stages.begin(step.name);
        entry.step_started(step.name, step.notes_first ? JournalEntry::Synced::with_the_next
                                                       : JournalEntry::Synced::now);
        world.talk.stage(step.text);
        step.apply(operation);
        entry.step_done(step.name);
    }
    world.stages.begin("finish");
}

/// Reverts, last first, every step that was started. Nothing is written to the journal: a full disk must not
/// keep what fills it. A revert that fails stops it: the entry stays open and the next operation on that VM,
/// or recover, goes on from there.
template<class Operation>
void run_back(std::span<const Step<Operation>> steps, Operation& operation,
              const std::vector<std::string>& started, Talk& talk) {
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if (!step->revert || std::find(started.begin(), started.end(), step->name) == started.end()) continue;
        if (fault::left_out("revert", step->name)) continue;
        talk.detail(std::string("undoing: ") + std::string(step->text));
        step->revert(operation);
    }
}

} // namespace blockhost
