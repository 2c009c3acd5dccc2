// SPDX-License-Identifier: MIT
// A host as a desired state: over the same host, its plan is empty.
#include "agent/dump.hpp"

#include "base/text/json.hpp"
#include "tests/unit/agent/fake_platform.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;
using platform::FakePlatform;
using platform::Power;

namespace {

/// What a plan over the dump of a host finds.
Plan planned_again(FakePlatform& platform) {
    const Dumped dumped = dump_desired(observe_all(platform), 7);
    const Desired desired = parse_desired(json::python_line(dumped.document), "dump");
    CHECK(desired.generation == 7);
    CHECK(desired.warnings.empty());
    require_fits(desired, platform, platform.host());
    return make_plan(desired, observe(platform, platform.host(), desired),
                     [](const platform::Action&, platform::Kind) { return std::nullopt; });
}

} // namespace

TEST_CASE("a plan over a dump is empty, whatever the guests are") {
    FakePlatform platform;
    platform.add("plain");
    platform::Guest& rich = platform.add("rich", Power::stopped);
    rich.config->name = "another";
    rich.config->description = "über\n\tzwei \"Zeilen\"";
    rich.config->tags = {"a", "b.c+d-e"};
    rich.config->disk_mib = 2560;
    rich.config->start_on_boot = rich.config->is_protected = true;
    rich.config->details = {{"owner_wallet", "0xabc"}, {"net0", "x"}};
    platform::Guest& bare = platform.add("bare", Power::paused);
    bare.config = platform::GuestConfig{};
    platform::Guest& odd = platform.add("odd", Power::suspended);
    odd.config->name = "not a name";
    odd.config->tags = {"not a tag"};
    odd.config->cpus = 100'000;
    odd.config->memory_mib = 0;
    odd.config->disk_mib = 0;
    odd.config->description = std::string(10'000, 'x');
    odd.config->details = {{"owner_wallet", "not a wallet"}};
    platform.add("unknown", Power::unknown);
    const Plan plan = planned_again(platform);
    CHECK(plan.is_converged());
    CHECK(plan.notes.empty());
}

TEST_CASE("a dump says what the platform tells") {
    FakePlatform platform;
    platform.add("web");
    platform::Guest& other = platform.add("other", Power::stopped);
    other.config->disk_mib = 2560;
    other.config->is_protected = true;
    CHECK(
        json::python_line(dump_desired(observe_all(platform), 1).document) ==
        R"({"version": 1, "host": "host-a", "generation": 1, "guests": {"other": {"kind": "vm", "power": "stopped", )"
        R"("cpus": 2, "memory_mib": 2048, "disk_mib": 2560, "protected": true}, "web": {"kind": "vm", "power": "running", )"
        R"("cpus": 2, "memory_mib": 2048, "disk_gib": 20}}})");
}

TEST_CASE("what is left out of a dump is told") {
    FakePlatform platform;
    platform.add("broken");
    platform.errors.emplace("broken", Error(Code::hypervisor, "it is broken"));
    platform.add("a b");
    platform.add("paused", Power::paused).config->name = "a b";
    const Dumped dumped = dump_desired(observe_all(platform), 1);
    CHECK(dumped.document.at("guests").as_object().size() == 1);
    CHECK(dumped.left_out == std::vector<Remark>{{"a b", "the guest: no document may say its name"},
                                                 {"broken", "the guest: it cannot be read: it is broken"},
                                                 {"paused", "its power state: it is paused"},
                                                 {"paused", "its name: no document may say that"}});
    CHECK(planned_again(platform).is_converged());
}
