// SPDX-License-Identifier: MIT
// Moments by two clocks, and spans in text.
#include "base/boot_clock.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

const Moment noon{Instant(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)) + 12h, "boot-a", 1h};

} // namespace

TEST_CASE("within one boot, what is left follows the time since boot, whatever the wall clock says") {
    const auto end = after(noon, 10min);
    CHECK(left(end, noon) == 10min);
    CHECK(left(end, {noon.wall + 1000 * 24h, "boot-a", 1h + 4min}) == 6min);
    CHECK(left(end, {noon.wall - 1000 * 24h, "boot-a", 1h + 4min}) == 6min);
    CHECK(left(end, {noon.wall - 1000 * 24h, "boot-a", 1h + 10min}) == 0ms);
    CHECK(left(end, {noon.wall, "boot-a", 5h}) == 0ms);
}

TEST_CASE("in a later boot, what is left follows the wall clock, and is never more than the span") {
    const auto end = after(noon, 10min);
    CHECK(left(end, {noon.wall + 4min, "boot-b", 1s}) == 6min);
    CHECK(left(end, {noon.wall + 4min, "boot-b", 9h}) == 6min);
    CHECK(left(end, {noon.wall + 10min, "boot-b", 1s}) == 0ms);
    CHECK(left(end, {noon.wall - 1000 * 24h, "boot-b", 1s}) == 10min);
}

TEST_CASE("this boot has an id and a clock that goes forward") {
    const auto first = moment_now(), second = moment_now();
    CHECK(first.boot.size() == 36);
    CHECK(first.boot == second.boot);
    CHECK(second.since_boot >= first.since_boot);
    CHECK(first.since_boot > 0ms);
}

TEST_CASE("spans are a whole number and one unit") {
    CHECK(parse_span("90s") == 90s);
    CHECK(parse_span("30m") == 30min);
    CHECK(parse_span("12h") == 12h);
    CHECK(parse_span("7d") == 168h);
    for (auto bad : {"", "s", "0s", "-1s", "+1s", "1", "1w", "1 s", "1.5h", "1e3s", "1h30m",
                     "99999999999999999999s", "1000000001s", "0x1s"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_span(bad));
    }
}
