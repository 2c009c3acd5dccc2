// SPDX-License-Identifier: MIT
#include "config/mounts.hpp"
#include "tests/unit/config/root.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;

TEST_CASE("the mount point of a path is the topmost folder of its file system, whether it exists or not") {
    Scratch scratch;
    CHECK(mount_point_of("/proc/self") == "/proc");
    CHECK(mount_point_of("/proc/none/such") == "/proc");
    CHECK(mount_point_of(scratch / "a/b/c") == mount_point_of(scratch.path()));
    std::filesystem::create_symlink("/proc", scratch / "link");
    CHECK(mount_point_of(scratch / "link/self") == "/proc");
    std::filesystem::create_symlink("loop", scratch / "loop");
    CHECK_THROWS_WITH(mount_point_of(scratch / "loop/a"), Catch::Contains("cannot look at"));
}

TEST_CASE("nothing is noted of folders on the state folder's own file system") {
    Root root;
    root.paths.state.make();
    note_mounts(root.paths, {root.paths.disks.string(), root.paths.templates.string(), "/"});
    CHECK(entries(root.paths.state.string()) == 0);
    CHECK_NOTHROW(require_mounted(root.paths));
}

TEST_CASE("a file system that was noted is missed when it is not mounted") {
    Root root;
    root.paths.state.make();
    note_mounts(root.paths, {"/proc/sys"});
    CHECK(get(root.paths.state.string("mounts.json")) == "{\"mounted\": [\"/proc\"]}\n");
    CHECK_NOTHROW(require_mounted(root.paths));
    put(root.paths.state.string("mounts.json"),
        "{\"mounted\": [\"/proc\", \"" + root.scratch.path().string() + "\"]}");
    CHECK_THROWS_WITH(require_mounted(root.paths),
                      Catch::Contains(root.scratch.path().string()) &&
                          Catch::Contains("is not mounted; nothing was touched"));
    put(root.paths.state.string("mounts.json"), "{\"mounted\": [\"/srv/none/such\"]}");
    CHECK_THROWS_AS(require_mounted(root.paths), Error);
    put(root.paths.state.string("mounts.json"), "torn");
    CHECK_THROWS_AS(require_mounted(root.paths), Error);
}

TEST_CASE("a database whose folder is missing is an error, but for the state folder") {
    Root root;
    DbConfig config{.db_file = root.paths.state.string("vms.json"),
                    .storage_path = {},
                    .ipv4 = {{Ipv4(0), 32}, Ipv4(0), Ipv4(0), {}},
                    .resolvers = {}};
    CHECK_NOTHROW(require_database_folder(config, root.paths));
    config.db_file = root.scratch / "elsewhere/vms.json";
    CHECK_THROWS_WITH(require_database_folder(config, root.paths), Catch::Contains("is missing"));
    std::filesystem::create_directories(root.scratch / "elsewhere");
    CHECK_NOTHROW(require_database_folder(config, root.paths));
}
