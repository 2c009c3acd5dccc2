// SPDX-License-Identifier: MIT
// A clock that was set is told from one that runs.
#include "agent/service/clock_watch.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace std::chrono_literals;

TEST_CASE("a clock that is set forward or back is noticed once, and small steps are not") {
    agent::ClockWatch watch;
    const Instant wall{1'000'000s};
    const Deadline::clock::time_point steady{5000s};
    CHECK_FALSE(watch.tick(wall, steady));
    CHECK_FALSE(watch.tick(wall + 10s, steady + 10s));
    CHECK_FALSE(watch.tick(wall + 79s, steady + 20s));
    CHECK(watch.tick(wall + 10'000s, steady + 30s) == 9911s);
    CHECK_FALSE(watch.tick(wall + 10'010s, steady + 40s));
    CHECK(watch.tick(wall, steady + 50s) == -10'020s);
    CHECK_FALSE(watch.tick(wall + 3600s, steady + 3650s)); // a long wait is none
}
