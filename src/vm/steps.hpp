// SPDX-License-Identifier: MIT
#pragma once
/// Operations as lists of steps, and the two ways through such a list: forward, and back.

#include "base/fault.hpp"
#include "base/interrupt.hpp"
#include "vm/context.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

/// What may still happen for a step after the process that asked libvirt for it has died.
enum class Late { nothing, volume, domain, running };

struct StepName {
    std::string_view name; ///< stable: printed by dry runs, stored in the journal, compared by tests
    std::string_view text; ///< what a person reads while it runs
};

/// One step of an operation of type `Operation`. Both functions may be repeated safely.
template<class Operation>
struct Step {
    std::string_view name; ///< as in StepName
    std::string_view text;
    void (*apply)(Operation&);
    void (*revert)(Operation&) = nullptr; ///< null for a step that makes nothing
    Late late = Late::nothing;
    bool notes_first = false; ///< it writes a note before it does anything, which syncs its start too
};

/// The names of `steps`, in order.
template<const auto& steps>
std::vector<StepName> names_of() {
    std::vector<StepName> names;
    for (const auto& step : steps) names.push_back({step.name, step.text});
    return names;
}

/// Applies every step in order, journaled and timed; checks for an interruption before each.
template<class Operation>
void run_forward(std::span<const Step<Operation>> steps, Operation& operation, JournalEntry& entry,
                 const Interruption& interruption, World& world) {
    for (const Step<Operation>& step : steps) {
        interruption.check();
        world.stages.begin(step.name);
        entry.step_started(step.name, step.notes_first ? JournalEntry::Synced::with_the_next
                                                       : JournalEntry::Synced::now);
        world.progress.stage(step.text);
        step.apply(operation);
        entry.step_done(step.name);
    }
    world.stages.begin("finish");
}

/// Reverts every step that was started, the last first. Writes nothing to the journal: a full disk must not
/// keep what fills it. A revert that fails ends this: the entry stays open, and the next operation on that
/// VM, or recover, goes on from there.
template<class Operation>
void run_back(std::span<const Step<Operation>> steps, Operation& operation,
              const std::vector<std::string>& started, Progress& progress) {
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if (!step->revert || std::find(started.begin(), started.end(), step->name) == started.end()) continue;
        if (fault::left_out("revert", step->name)) continue;
        progress.detail(std::string("undoing: ") + std::string(step->text));
        step->revert(operation);
    }
}

} // namespace blockhost
