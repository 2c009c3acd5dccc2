// SPDX-License-Identifier: MIT
// What keeps the agent from its work is told as it begins, changes and ends.
#include "agent/service/troubles.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> told(Troubles& troubles) {
    std::vector<std::string> all;
    for (const auto& each : troubles.take_changes())
        all.push_back((each.is_over ? "-" : "+") + each.trouble.what + " " + each.trouble.why);
    return all;
}
using Told = std::vector<std::string>;

} // namespace

TEST_CASE("a trouble is told when it begins, has another reason and ends, and keeps its beginning") {
    Troubles troubles;
    troubles.begin("hub", "away", Instant{10s});
    troubles.begin("hub", "away", Instant{20s});
    CHECK(told(troubles) == Told{"+hub away"});
    troubles.begin("hub", "slow", Instant{30s});
    troubles.begin("database", "full", Instant{40s});
    CHECK(troubles.has("hub"));
    REQUIRE(troubles.now().size() == 2);
    CHECK(troubles.now()[1].what == "hub");
    CHECK(troubles.now()[1].why == "slow");
    CHECK(troubles.now()[1].since == Instant{10s});
    troubles.end("hub");
    troubles.end("hub");
    troubles.end("nothing");
    CHECK(told(troubles) == Told{"+hub slow", "+database full", "-hub slow"});
    CHECK_FALSE(troubles.has("hub"));
    CHECK(told(troubles).empty());
}
