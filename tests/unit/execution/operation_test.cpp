// SPDX-License-Identifier: MIT
// States of an operation.
#include "execution/operation.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::execution;

TEST_CASE("what has ended becomes nothing else, and what has not can end") {
    for (const State from : states()) {
        bool can_end = false;
        for (const State to : states()) {
            if (is_end(from)) CHECK_FALSE(may_become(from, to));
            can_end = can_end || (is_end(to) && may_become(from, to));
        }
        CHECK(can_end == !is_end(from));
    }
}

TEST_CASE("what was begun is never queued, and only what was noted can be begun") {
    for (const State from : states()) {
        CHECK(may_become(from, State::begun) == (from == State::noted));
        CHECK(may_become(from, State::done) == (from == State::noted || from == State::begun));
        CHECK(may_become(from, State::unknown) == (from == State::noted || from == State::begun));
        CHECK(may_become(from, State::cancelled) == (from == State::queued || from == State::waiting));
        CHECK(may_become(from, State::queued) == (from == State::waiting || from == State::noted));
    }
}

TEST_CASE("states and sources have names of their own") {
    std::set<std::string_view> names;
    for (const State state : states()) {
        names.insert(to_string(state));
        CHECK(state_named(to_string(state)) == state);
    }
    CHECK(names.size() == states().size());
    CHECK(state_named("waiting for signature") == State::waiting);
    CHECK_FALSE(state_named("over"));
    CHECK(source_named("healing") == Source::Kind::healing);
    CHECK(source_named(to_string(Source::Kind::take_back)) == Source::Kind::take_back);
    CHECK_FALSE(source_named("nobody"));
    CHECK(source_named("drill") == Source::Kind::drill);
    CHECK(is_trial(Source::Kind::selftest));
    CHECK_FALSE(is_trial(Source::Kind::shell));
}
