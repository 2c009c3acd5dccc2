// SPDX-License-Identifier: MIT
// One relocatable root.
#include "config/paths.hpp"
#include "tests/unit/config/root.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;

namespace {

Paths with_root(const char* root) {
    setenv("BLOCKHOST_ROOT", root, 1);
    try {
        Paths paths = paths_from_environment();
        unsetenv("BLOCKHOST_ROOT");
        return paths;
    } catch (...) {
        unsetenv("BLOCKHOST_ROOT");
        throw;
    }
}

} // namespace

TEST_CASE("without a root of its own everything is where the contract says") {
    unsetenv("BLOCKHOST_ROOT");
    Paths paths = paths_from_environment();
    CHECK(paths.is_default_root);
    CHECK(paths.db_yaml() == "/etc/blockhost/db.yaml");
    CHECK(paths.web3_defaults() == "/etc/blockhost/web3-defaults.yaml");
    CHECK(paths.broker_allocation() == "/etc/blockhost/broker-allocation.json");
    CHECK(paths.engine_manifest() == "/usr/share/blockhost/engine.json");
    CHECK(paths.root_agent_socket() == "/run/blockhost/root-agent.sock");
    CHECK(paths.state.string() == "/var/lib/blockhost");
    CHECK(paths.templates.string() == "/var/lib/blockhost/templates");
    CHECK(paths.disks.string() == "/var/lib/blockhost/vms");
    CHECK(paths.cloud_init.string() == "/var/lib/blockhost/cloud-init");
    CHECK(paths.metrics.string() == "/var/lib/blockhost/metrics");
    CHECK(paths.journal.string() == "/var/lib/blockhost/journal");
    CHECK(paths.mints.string() == "/var/lib/blockhost/mints");
    CHECK(paths.world.empty());
}

TEST_CASE("an empty root and \"/\" are the default root") {
    CHECK(with_root("").is_default_root);
    CHECK(with_root("/").is_default_root);
    CHECK(with_root("//").is_default_root);
    CHECK(with_root("/.//").is_default_root);
}

TEST_CASE("a root moves every path of ours") {
    for (const char* spelling : {"/some/dir", "/some/dir/", "/some/./dir//", "//some/dir/."}) {
        CAPTURE(spelling);
        Paths paths = with_root(spelling);
        CHECK_FALSE(paths.is_default_root);
        CHECK(paths.root == "/some/dir");
        CHECK(paths.db_yaml() == "/some/dir/etc/blockhost/db.yaml");
        CHECK(paths.state.string() == "/some/dir/var/lib/blockhost");
        CHECK(paths.run == "/some/dir/run/blockhost");
        CHECK(paths.share == "/some/dir/usr/share/blockhost");
        CHECK(paths.consoles.string() == "/some/dir/var/lib/blockhost/console");
    }
}

TEST_CASE("a root keeps its \"..\", which may follow a link") {
    CHECK(with_root("/some/x/../dir").root == "/some/x/../dir");
}

TEST_CASE("a relative root is refused") {
    CHECK(contains(config_error([] { with_root("some/dir"); }), "some/dir"));
    CHECK_FALSE(config_error([] { with_root("."); }).empty());
}

TEST_CASE("the mock world keeps the configuration and moves everything that is written") {
    Paths real = with_root("/r"), mock = mock_paths(real, "/home/me");
    CHECK(mock.etc == real.etc);
    CHECK(mock.share == real.share);
    CHECK(mock.world == "/home/me/mock-world");
    for (const std::string& written :
         {mock.state.string(), mock.run.string(), mock.templates.string(), mock.disks.string(),
          mock.cloud_init.string(), mock.consoles.string(), mock.metrics.string(), mock.journal.string()}) {
        CAPTURE(written);
        CHECK(written.starts_with("/home/me/mock-world"));
    }
    CHECK(mock.journal.string() == "/home/me/mock-world/journal");
}
