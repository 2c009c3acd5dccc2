// SPDX-License-Identifier: MIT
/// The table of operations.
#include "operations/operation.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::operations;

TEST_CASE("each operation has one row, and its steps have names of their own") {
    std::set<Verb> verbs;
    for (const OperationRow* row : operation_table()) {
        CHECK(verbs.insert(row->verb).second);
        CHECK(&operation_of(to_string(row->verb)) == row);
        std::set<std::string_view> names;
        for (const StepName& step : row->steps()) CHECK(names.insert(step.name).second);
        CHECK(!names.empty());
    }
}

TEST_CASE("every verb of the state table is an operation") {
    for (const Verb verb : {Verb::create, Verb::destroy, Verb::start, Verb::stop, Verb::kill, Verb::suspend,
                            Verb::resume, Verb::configure, Verb::backup, Verb::snapshot_take,
                            Verb::snapshot_undo, Verb::snapshot_keep, Verb::restore_in_place})
        CHECK(operation_of(to_string(verb)).verb == verb);
}

TEST_CASE("an entry of a verb that nobody knows is closed as a start's is") {
    CHECK(operation_of("hibernate").verb == Verb::start);
    CHECK(operation_of("hibernate").direction == Direction::abandon);
}
