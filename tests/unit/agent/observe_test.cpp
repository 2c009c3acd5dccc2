// SPDX-License-Identifier: MIT
// One look: who is read in full, what becomes of those that cannot be read, and how often anybody is asked.
#include "agent/observe.hpp"

#include "tests/unit/agent/fake_platform.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;
using platform::FakePlatform;

namespace {

Desired naming(const std::vector<std::string>& ids) {
    Desired desired;
    for (const std::string& id : ids) desired.guests.emplace_back().id = id;
    return desired;
}

Observed observed(FakePlatform& platform, const std::vector<std::string>& named) {
    return observe(platform, platform.host(), naming(named));
}

} // namespace

TEST_CASE("who is named is read in full, who is not is only listed") {
    FakePlatform platform;
    platform.add("a");
    platform.add("b");
    platform.doubt = "some are hidden";
    const Observed seen = observed(platform, {"a"});
    CHECK(seen.host.name == "host-a");
    CHECK_FALSE(seen.guests.at("a").is_partial);
    CHECK(seen.guests.at("a").digest == "digest:a");
    CHECK(seen.guests.at("b").is_partial);
    CHECK(seen.doubt == "some are hidden");
    CHECK((platform.lists == 1 && platform.looks == 1));
}

TEST_CASE("all are read in full where all are asked for") {
    FakePlatform platform;
    platform.add("a");
    platform.add("b");
    const Observed seen = observe_all(platform);
    CHECK_FALSE(seen.guests.at("a").is_partial);
    CHECK_FALSE(seen.guests.at("b").is_partial);
    CHECK((platform.lists == 1 && platform.looks == 2));
}

TEST_CASE("a guest that the list tells whole is not read again") {
    FakePlatform platform;
    platform.add("a");
    platform.listed.front().is_partial = false;
    CHECK(observed(platform, {"a"}).guests.contains("a"));
    CHECK(platform.looks == 0);
}

TEST_CASE("a guest that is named and not listed is looked for") {
    FakePlatform platform;
    platform.errors.emplace("b", Error(Code::foreign, "b is somebody else's"));
    const Observed seen = observed(platform, {"a", "b"});
    CHECK_FALSE(seen.guests.contains("a"));
    CHECK(seen.guests.at("b").unreadable == "b is somebody else's");
}

TEST_CASE("what cannot be read says why, and keeps nobody from being read") {
    FakePlatform platform;
    platform.add("a");
    platform.add("b");
    platform.add("c");
    platform.errors.emplace("a", Error(Code::hypervisor, "it is broken"));
    platform.listed.at(1).unreadable = "it has no domain";
    const Observed seen = observed(platform, {"a", "b", "c"});
    CHECK(seen.guests.at("a").unreadable == "it is broken");
    CHECK(seen.guests.at("b").unreadable == "it has no domain");
    CHECK(seen.guests.at("c").unreadable.empty());
    CHECK(platform.looks == 2);
}

TEST_CASE("a guest that goes away under the look is not absent") {
    FakePlatform platform;
    platform.add("a");
    platform.guests_by_id.clear();
    CHECK(observed(platform, {"a"}).guests.at("a").unreadable == "it went away while it was looked at");
}

TEST_CASE("a platform that ceased to answer is asked no more") {
    FakePlatform platform;
    std::vector<std::string> ids;
    for (int i = 0; i < 50; ++i) {
        ids.push_back("vm-" + std::to_string(i));
        platform.add(ids.back());
        if (i >= 10) platform.errors.emplace(ids.back(), Error(Code::no_answer, "it is silent"));
    }
    const Observed seen = observed(platform, ids);
    CHECK(platform.looks == 13);
    CHECK(seen.guests.at("vm-9").unreadable.empty());
    CHECK(seen.guests.at("vm-12").unreadable == "it is silent");
    CHECK(seen.guests.at("vm-49").unreadable == "it was not asked for: it is silent");
}

TEST_CASE("silences that others interrupt end nothing") {
    FakePlatform platform;
    std::vector<std::string> ids;
    for (int i = 0; i < 12; ++i) {
        ids.push_back("vm-" + std::to_string(i));
        platform.add(ids.back());
        if (i % 3 != 2) platform.errors.emplace(ids.back(), Error(Code::no_answer, "it is silent"));
    }
    observed(platform, ids);
    CHECK(platform.looks == 12);
}

TEST_CASE("refusals are answers, and end nothing") {
    FakePlatform platform;
    std::vector<std::string> ids;
    for (int i = 0; i < 6; ++i) {
        ids.push_back("vm-" + std::to_string(i));
        platform.add(ids.back());
        platform.errors.emplace(ids.back(), Error(i % 3 == 0 ? Code::no_answer : Code::denied, "no"));
    }
    observed(platform, ids);
    CHECK(platform.looks == 6);
}

TEST_CASE("a platform that cannot be reached, and an interruption, end the look") {
    for (const Code code : {Code::hypervisor_down, Code::interrupted}) {
        FakePlatform platform;
        platform.add("a");
        platform.errors.emplace("a", Error(code, "no more"));
        CHECK_THROWS_AS(observed(platform, {"a"}), Error);
    }
}

TEST_CASE("how far the look is, is told") {
    FakePlatform platform;
    platform.add("a");
    platform.add("b");
    std::vector<std::pair<std::size_t, std::size_t>> told;
    observe_all(platform, [&](std::size_t done, std::size_t all) { told.emplace_back(done, all); });
    CHECK(told == std::vector<std::pair<std::size_t, std::size_t>>{{0, 2}, {1, 2}});
}
