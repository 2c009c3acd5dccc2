// SPDX-License-Identifier: MIT
/// See operation.hpp.

#include "operations/operation.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::operations {

std::string_view to_string(Direction direction) {
    switch (direction) {
    case Direction::roll_back:
        return "roll back";
    case Direction::roll_forward:
        return "roll forward";
    case Direction::abandon:
        return "close as abandoned";
    }
    return "?";
}

const OperationRow& operation_of(std::string_view verb) {
    const auto named = [](std::string_view name) {
        return [name](const OperationRow* row) { return to_string(row->verb) == name; };
    };
    const auto table = operation_table();
    const auto found = std::ranges::find_if(table, named(verb));
    return found != table.end() ? **found : **std::ranges::find_if(table, named(to_string(Verb::start)));
}

void show_steps(Progress& progress, const OperationRow& row, std::string_view how) {
    progress.say(fmt::format("dry run: nothing is changed; {} would carry out:", how));
    for (const StepName& step : row.steps()) progress.say(fmt::format("  {}", step.name));
}

} // namespace blockhost::operations
