// SPDX-License-Identifier: MIT
#pragma once
/// What recovery, dry runs and the docs know of an operation: each has one row in one table.

#include "vm/state.hpp"
#include "vm/steps.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace blockhost::operations {

/// What happens to an operation after its process has died.
enum class Direction {
    roll_back,    ///< everything that it made is removed
    roll_forward, ///< the rest of it is done
    abandon,      ///< it is closed: a wish is never carried out later
};
/// "roll back", "roll forward", "close as abandoned".
std::string_view to_string(Direction direction);

struct OperationRow {
    Verb verb;
    Direction direction;
    /// Its steps, in order.
    std::vector<StepName> (*steps)();
    /// Finishes, in that direction, what a dead process left; afterwards the entry is clean. `left` is what
    /// the entry says, and `entry` is the right to work on the VM.
    void (*finish)(World& world, JournalEntry& entry, const EntryView& left);
};

/// Every operation that a journal entry can name. Each row stands in the file of its operation.
std::span<const OperationRow* const> operation_table();

/// The row of the verb that an entry names. A verb that this version does not know gets start's row, which
/// closes the entry.
const OperationRow& operation_of(std::string_view verb);

/// Says that nothing is changed, and which steps `how` ("--apply") would carry out.
void show_steps(Progress& progress, const OperationRow& row, std::string_view how);

} // namespace blockhost::operations
