// SPDX-License-Identifier: MIT
/// Forbidding a start and allowing it again: durable, repeatable, and what the hook answers follows.

#include "vm/stay_off_marks.hpp"

#include "base/error.hpp"
#include "hypervisor/files/start_veto.hpp"
#include "hypervisor/xml/claim.hpp"
#include "tests/unit/defined_by_others.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace blockhost;
namespace fs = std::filesystem;

namespace {

struct Stage {
    Stage() {
        fs::create_directories(folder / "etc/blockhost");
        std::ofstream(folder / "etc/blockhost/db.yaml")
            << "bridge: br0\nip_pool: {network: 10.9.9.0/24, start: 10, end: 12}\n";
        Paths real;
        real.root = folder;
        real.etc = folder / "etc/blockhost";
        world.emplace(mock_paths(real, folder), Reality::simulated, Intent::change, silence);
    }

    std::string definition(const std::string& uuid, const std::string& marked_uuid = "") const {
        DomainMark mark;
        mark.instance = world->instance.str();
        mark.name = name.str();
        mark.uuid = marked_uuid;
        mark.state_folder = world->paths.state.string();
        return "<domain><name>vm-1</name><uuid>" + uuid + "</uuid><metadata>" + render_mark(mark) +
               "</metadata></domain>";
    }
    std::optional<std::string> answer(const std::string& uuid = "u-1") const {
        return reason_to_stay_off("vm-1", definition(uuid));
    }

    TemporaryFolder temporary;
    fs::path folder = temporary.path;
    Silence silence;
    std::optional<World> world;
    VmName name{"vm-1"};
    Instant since = *parse_instant("2026-01-02T03:04:05Z");
};

} // namespace

TEST_CASE("a forbidden start is refused until it is allowed") {
    Stage stage;
    CHECK_FALSE(start_forbidden(*stage.world, stage.name));
    CHECK_FALSE(stage.answer());
    for (int again = 0; again < 2; ++again) {
        forbid_start(*stage.world, stage.name, "u-1", stage.since);
        CHECK(start_forbidden(*stage.world, stage.name));
        CHECK(
            stage.answer() ==
            "vm-1 is suspended since 2026-01-02T03:04:05+00:00, unpaid: extend and resume it with BlockHost");
        CHECK_FALSE(stage.answer("u-2"));
    }
    for (int again = 0; again < 2; ++again) {
        allow_start(*stage.world, stage.name);
        CHECK_FALSE(start_forbidden(*stage.world, stage.name));
        CHECK_FALSE(stage.answer());
    }
    CHECK(fs::is_empty(stage.world->paths.suspended.string()));
}

TEST_CASE(
    "a start veto is readable for its owner and group alone, and no temporary of a dead process stays") {
    Stage stage;
    forbid_start(*stage.world, stage.name, "", stage.since);
    struct stat found {};
    REQUIRE(::stat(stage.world->paths.suspended.string("vm-1").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0640);
    std::ofstream(stage.world->paths.suspended.string(".vm-1.0123456789ab")) << "torn";
    GENERATE(false, true) ? allow_start(*stage.world, stage.name)
                          : forbid_start(*stage.world, stage.name, "", stage.since);
    CHECK_FALSE(fs::exists(stage.world->paths.suspended.string(".vm-1.0123456789ab")));
}

TEST_CASE("what stands in the way of a look is an error, not a no") {
    Stage stage;
    fs::create_directories(stage.world->paths.suspended.string("vm-1"));
    CHECK_THROWS_AS(start_forbidden(*stage.world, stage.name), Error);
}

TEST_CASE("the simulated world asks before a start, as libvirtd does") {
    Stage stage;
    Hypervisor& hypervisor = stage.world->hypervisor();
    define_as_others(stage.world->paths.world, stage.definition("11111111-2222-4333-8444-555555555555"));
    forbid_start(*stage.world, stage.name, "", stage.since);
    CHECK_THROWS_WITH(hypervisor.start("vm-1"), Catch::Contains("vm-1 is suspended since 2026-01-02"));
    CHECK(hypervisor.state("vm-1") == PowerState::off);
    allow_start(*stage.world, stage.name);
    hypervisor.start("vm-1");
    forbid_start(*stage.world, stage.name, "", stage.since);
    hypervisor.start("vm-1"); // it runs already
    CHECK(hypervisor.state("vm-1") == PowerState::running);
}

TEST_CASE("a suspended VM that was renamed stays off, a copy of it does not") {
    Stage stage;
    forbid_start(*stage.world, stage.name, "u-1", stage.since);
    std::string definition = stage.definition("u-1", "u-1");
    const auto rename = [&] { definition.replace(definition.find("vm-1"), 4, "vm-2"); };
    CHECK(reason_to_stay_off("vm-1", definition));
    rename();
    CHECK_THAT(reason_to_stay_off("vm-2", definition).value_or(""),
               Catch::Contains("vm-1 is suspended since"));
    definition = stage.definition("u-2", "u-1");
    CHECK_FALSE(reason_to_stay_off("vm-1", definition));
    rename();
    CHECK_FALSE(reason_to_stay_off("vm-2", definition));
}
