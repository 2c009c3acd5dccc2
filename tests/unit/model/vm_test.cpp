// SPDX-License-Identifier: MIT
// The words that others read.
#include "model/vm.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

TEST_CASE("a record status is one of three words") {
    for (auto status : {RecordStatus::active, RecordStatus::suspended, RecordStatus::destroyed})
        CHECK(record_status(to_string(status)) == status);
    CHECK(to_string(RecordStatus::active) == "active");
    for (const char* other : {"", "Active", "active ", "stopped", "unknown"})
        CHECK_FALSE(record_status(other));
}

TEST_CASE("whatever is not off may hold the disk") {
    for (auto state : {PowerState::running, PowerState::stopping, PowerState::paused, PowerState::crashed,
                       PowerState::unknown})
        CHECK(is_alive(state));
    CHECK_FALSE(is_alive(PowerState::off));
}

TEST_CASE("consumers read four words") {
    CHECK(contract_status(PowerState::running) == "active");
    CHECK(contract_status(PowerState::stopping) == "active");
    CHECK(contract_status(PowerState::paused) == "suspended");
    CHECK(contract_status(PowerState::off) == "suspended");
    CHECK(contract_status(PowerState::crashed) == "suspended");
    CHECK(contract_status(PowerState::unknown) == "unknown");
    CHECK(contract_status(std::nullopt) == "destroyed");
}

TEST_CASE("every power state has a word of its own") {
    CHECK(to_string(PowerState::running) == "running");
    CHECK(to_string(PowerState::stopping) == "stopping");
    CHECK(to_string(PowerState::paused) == "paused");
    CHECK(to_string(PowerState::off) == "off");
    CHECK(to_string(PowerState::crashed) == "crashed");
    CHECK(to_string(PowerState::unknown) == "unknown");
}
