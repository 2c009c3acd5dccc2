// SPDX-License-Identifier: MIT
// What is remembered of a VM's last drill.
#include "backup/last_drill.hpp"

#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;

namespace {

const VmName name("web-001");

struct State {
    TemporaryFolder folder;
    Paths paths;
    State() { paths.state = StateFolder(folder.path / "state"); }
    std::filesystem::path file() const { return folder.path / "state/backup/drills/web-001.json"; }
};

LastDrill example() {
    return {.snapshot = std::string(64, 'b'),
            .taken_at = *parse_instant("2026-01-02T03:04:05Z"),
            .at = *parse_instant("2026-01-03T03:04:05Z"),
            .passed = false,
            .reason = "the archive lacks vda/00000/00000003",
            .restore_s = 20,
            .boot_s = 88,
            .check_s = 1};
}

} // namespace

TEST_CASE("a drill is remembered until the next") {
    const State state;
    CHECK_FALSE(read_last_drill(state.paths, name));
    write_last_drill(state.paths, name, example());
    CHECK(read_last_drill(state.paths, name) == example());
    LastDrill next = example();
    next.passed = true;
    next.reason.clear();
    write_last_drill(state.paths, name, next);
    CHECK(read_last_drill(state.paths, name) == next);
    CHECK_FALSE(read_last_drill(state.paths, VmName("web-002")));
}

TEST_CASE("a torn memory of a drill is told, and is no drill that passed") {
    const State state;
    write_last_drill(state.paths, name, example());
    std::ofstream(state.file()) << "{\"format\": 1, \"passed\": true";
    CHECK_THROWS_AS(read_last_drill(state.paths, name), Error);
    std::ofstream(state.file()) << "{\"format\": 1, \"passed\": true}";
    CHECK_THROWS_AS(read_last_drill(state.paths, name), Error);
    chmod(state.file().parent_path().c_str(), 0777);
    CHECK_THROWS_AS(read_last_drill(state.paths, name), Error);
}
