// SPDX-License-Identifier: MIT
// Progress and stalls on a clock of the test's own.
#include "http/meter.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::http;
using namespace std::chrono_literals;

namespace {
const Clock::time_point start{1000s};
}

TEST_CASE("progress is told at most five times a second") {
    Meter meter;
    int told = 0;
    for (int ms = 0; ms < 1000; ms += 10)
        told +=
            meter.look(start + std::chrono::milliseconds(ms), static_cast<unsigned>(ms), 5000).has_value();
    CHECK(told == 5);
}

TEST_CASE("the speed is that of the last few seconds, and what is left follows from it") {
    Meter meter;
    auto first = meter.look(start, 500, 10500);
    REQUIRE(first);
    CHECK(first->bytes_per_second == 0);
    CHECK_FALSE(first->left);
    CHECK(meter.tell(start + 1s, 1500, 10500).bytes_per_second == Approx(1000));
    CHECK(meter.tell(start + 1s, 1500, 10500).left == 9s);
    Progress later{};
    for (int s = 2; s <= 20; ++s)
        later = meter.tell(start + std::chrono::seconds(s), 1500 + static_cast<unsigned>(s - 1) * 100, 10500);
    CHECK(later.bytes_per_second == Approx(100));
    CHECK(later.left == 71s);
}

TEST_CASE("nothing is left at the end, and nobody knows how much without a size or a speed") {
    Meter meter;
    meter.tell(start, 0, {});
    CHECK_FALSE(meter.tell(start + 1s, 100, {}).left);
    CHECK(meter.tell(start + 2s, 200, 200).left == 0s);
    CHECK(Meter().tell(start, 200, 200).left == 0s);
    Meter stuck;
    stuck.tell(start, 5, 100);
    CHECK_FALSE(stuck.tell(start + 1s, 5, 100).left);
    Meter endless;
    endless.tell(start, 0, 9223372036854775807u);
    CHECK_FALSE(endless.tell(start + 1s, 1, 9223372036854775807u).left);
}

TEST_CASE("a download that started anew has no negative speed") {
    Meter meter;
    meter.tell(start, 5000, 10000);
    CHECK(meter.tell(start + 1s, 0, 10000).bytes_per_second == 0);
    CHECK(meter.tell(start + 2s, 1000, 10000).bytes_per_second == Approx(1000));
}

TEST_CASE("a transfer stalls when less than 1 KiB/s arrives for the given time") {
    StallWatch watch(10s);
    CHECK_FALSE(watch.is_stalled(start, 0));
    CHECK_FALSE(watch.is_stalled(start + 9s, 10239));
    CHECK(watch.is_stalled(start + 10s, 10239));
}

TEST_CASE("a transfer that brings enough does not stall") {
    StallWatch watch(10s);
    std::uint64_t received = 0;
    for (int s = 0; s < 100; ++s, received += 1100)
        CHECK_FALSE(watch.is_stalled(start + std::chrono::seconds(s), received));
}

TEST_CASE("a stall is seen no later than its time after the last burst") {
    StallWatch watch(10s);
    watch.is_stalled(start, 0);
    CHECK_FALSE(watch.is_stalled(start + 5s, 1 << 20));
    CHECK_FALSE(watch.is_stalled(start + 14s, 1 << 20));
    CHECK(watch.is_stalled(start + 15s, 1 << 20));
}
