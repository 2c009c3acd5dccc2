// SPDX-License-Identifier: MIT
// When a hub is asked again.
#include "hub/pace.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::hub;
using namespace std::chrono_literals;

namespace {

/// With numbers at an end of their range, or between.
Pace paced(std::chrono::seconds poll, double random) {
    return {poll, [random] { return random; }};
}
constexpr double least = 0, most = 0.999999;

bool is_near(Pace::Span span, Pace::Span wanted) {
    return span > wanted - 10ms && span < wanted + 10ms;
}

} // namespace

TEST_CASE("a host comes back after its poll, a tenth more or less") {
    CHECK(is_near(paced(300s, least).after_success({}), 270s));
    CHECK(is_near(paced(300s, most).after_success({}), 330s));
    CHECK(is_near(paced(300s, 0.5).after_success(600s), 600s));
}

TEST_CASE("no jitter leads out of the bounds, and hosts at a bound have moments of their own") {
    for (const auto poll : {0s, 60s, 62s}) {
        CHECK(paced(poll, least).after_success({}) >= 60s);
        CHECK(paced(poll, least).after_success({}) <= 62s);
        CHECK(paced(poll, most).after_success({}) >= 71s);
    }
    for (const auto poll : {3600s, 9999s}) {
        CHECK(paced(poll, most).after_success({}) <= 3600s);
        CHECK(paced(poll, least).after_success({}) <= 2900s);
    }
    CHECK(paced(300s, least).after_success(1s) == 60s);
}

TEST_CASE("failures are answered by waits that double, up to an hour") {
    Pace pace = paced(300s, most);
    for (const auto wanted : {10s, 20s, 40s, 80s, 160s, 320s, 640s, 1280s, 2560s, 3600s, 3600s, 3600s})
        CHECK(is_near(pace.after_failure(), wanted));
    pace.after_success({});
    CHECK(is_near(pace.after_failure(), 10s));
    CHECK(is_near(paced(300s, least).after_failure(), 5s));
}

TEST_CASE("a hub that asks for patience gets it, within six hours") {
    CHECK(is_near(paced(300s, least).after_failure(120s), 120s));
    CHECK(is_near(paced(300s, most).after_failure(120s), 132s));
    CHECK(is_near(paced(300s, least).after_failure(24h), 6h));
    CHECK(is_near(paced(300s, most).after_failure(3s), 10s));
    CHECK(is_near(paced(300s, most).after_failure(-5s), 10s));
}

TEST_CASE("who starts waits a moment of its own") {
    CHECK(paced(300s, least).first() == 0s);
    CHECK(is_near(paced(300s, most).first(), 30s));
}
