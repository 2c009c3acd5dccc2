// Broker allocation, engine manifest, network mode, instance id.
#include "config/config.hpp"
#include "tests/unit/config/root.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::test;
namespace fs = std::filesystem;

namespace {

std::optional<BrokerAllocation> broker(const std::string& json) {
    Root root;
    put(root.paths.broker_allocation(), json);
    return read_broker_allocation(root.paths);
}

EngineManifest manifest(const std::string& json) {
    Root root;
    put(root.paths.engine_manifest(), json);
    return read_engine_manifest(root.paths);
}

} // namespace

TEST_CASE("a broker allocation gives the prefix, its gateway and the zone") {
    auto allocation =
        broker(R"({"prefix": "2a11:6c7:f04:276::/120", "dns_zone": "vm.example.org", "gateway": "x"})");
    REQUIRE(allocation);
    CHECK(allocation->prefix.str() == "2a11:6c7:f04:276::/120");
    CHECK(allocation->gateway().str() == "2a11:6c7:f04:276::1");
    CHECK(allocation->dns_zone == "vm.example.org");
    auto manual = broker(R"({"prefix": "fd00::42/64", "broker_node": "", "registry": "", "mode": "manual"})");
    REQUIRE(manual);
    CHECK(manual->prefix.str() == "fd00::/64");
    CHECK(manual->dns_zone.empty());
    CHECK(broker(R"({"prefix": "fd00::/64", "dns_zone": null})")->dns_zone.empty());
    CHECK(broker(R"({"prefix": "fd00::/64", "dns_zone": "a\nb"})")->dns_zone.empty());
}

TEST_CASE("without a usable broker allocation there is no IPv6") {
    Root nothing;
    CHECK_FALSE(read_broker_allocation(nothing.paths));
    for (const char* bad :
         {"", "{", "[]", "{}", "null", R"({"prefix": ""})", R"({"prefix": null})", R"({"prefix": 5})",
          R"({"prefix": "fd00::"})", R"({"prefix": "10.0.0.0/8"})", R"({"prefix": "fd00::/129"})"}) {
        CAPTURE(bad);
        CHECK_FALSE(broker(bad));
    }
    Root folder;
    fs::create_directories(folder.paths.broker_allocation());
    CHECK_FALSE(read_broker_allocation(folder.paths));
}

TEST_CASE("an engine manifest is found even when it is no use") {
    Root nothing;
    CHECK_FALSE(read_engine_manifest(nothing.paths).found);
    EngineManifest good = manifest(R"({"constraints": {"address_pattern": "^0x[0-9a-fA-F]{40}$"}})");
    CHECK(good.found);
    CHECK(good.address_pattern == "^0x[0-9a-fA-F]{40}$");
    for (const char* useless :
         {"", "{", "[]", "{}", R"({"constraints": null})", R"({"constraints": []})", R"({"constraints": {}})",
          R"({"constraints": {"address_pattern": null}})", R"({"constraints": {"address_pattern": 5}})"}) {
        CAPTURE(useless);
        CHECK(manifest(useless).found);
        CHECK(manifest(useless).address_pattern.empty());
    }
}

TEST_CASE("an engine manifest that cannot be read is there all the same") {
    Root root;
    fs::create_directories(root.paths.engine_manifest());
    CHECK(read_engine_manifest(root.paths).found);
    CHECK(read_engine_manifest(root.paths).address_pattern.empty());
}

TEST_CASE("the one enabled network mode is named by its link, even one that leads nowhere") {
    Root root;
    fs::path enabled = root.paths.etc / "network-modes.enabled";
    fs::create_directories(enabled);
    fs::create_symlink("../network-modes.available/broker.json", enabled / "broker.json");
    put(enabled / "README", "");
    put(enabled / ".json", "");
    put(root.paths.etc / "network-mode", "onion\n"); // the folder comes first
    CHECK(read_network_mode(root.paths) == "broker");
}

TEST_CASE("where no mode is enabled by a link the older file counts") {
    Root root;
    put(root.paths.etc / "network-mode", "manual\n");
    CHECK(read_network_mode(root.paths) == "manual");
    fs::create_directories(root.paths.etc / "network-modes.enabled");
    CHECK(read_network_mode(root.paths) == "manual");
}

TEST_CASE("no mode, several, or a strange one is refused") {
    Root none;
    CHECK(contains(config_error([&] { read_network_mode(none.paths); }), "no network mode is enabled"));
    Root several;
    put(several.paths.etc / "network-modes.enabled/onion.json", "{}");
    put(several.paths.etc / "network-modes.enabled/broker.json", "{}");
    CHECK(contains(config_error([&] { read_network_mode(several.paths); }), ": broker, onion"));
    for (const char* strange : {"", "\n", "two words", "a\nb", "../x"}) {
        CAPTURE(strange);
        Root root;
        put(root.paths.etc / "network-mode", strange);
        CHECK(contains(config_error([&] { read_network_mode(root.paths); }), "is not a network mode"));
    }
    Root unreadable;
    put(unreadable.paths.etc / "network-modes.enabled", "a file");
    put(unreadable.paths.etc / "network-mode", "broker\n");
    CHECK(contains(config_error([&] { read_network_mode(unreadable.paths); }), "Not a directory"));
}

TEST_CASE("the instance id is made once, readable by all, and stays") {
    Root root;
    fs::create_directories(root.paths.state.parent_path());
    CHECK_FALSE(existing_instance_id(root.paths));
    mode_t before = umask(077);
    InstanceId id = instance_id(root.paths);
    umask(before);
    CHECK(instance_id(root.paths) == id);
    CHECK(existing_instance_id(root.paths) == id);
    CHECK(mode_of(root.paths.state / "instance-id") == 0644);
    CHECK(get(root.paths.state / "instance-id") == id.str() + "\n");
    CHECK(entries(root.paths.state) == 1); // no temporary is left
}

TEST_CASE("asking for an existing id makes nothing") {
    Root root;
    fs::create_directories(root.paths.state);
    CHECK_FALSE(existing_instance_id(root.paths));
    CHECK(entries(root.paths.state) == 0);
}

TEST_CASE("processes that need the first id at the same time agree on it") {
    Root root;
    fs::create_directories(root.paths.state);
    int go[2];
    REQUIRE(pipe(go) == 0);
    constexpr int many = 12;
    std::vector<pid_t> children;
    for (int i = 0; i < many; ++i) {
        pid_t child = fork();
        if (child == 0) {
            close(go[1]);
            char byte;
            if (::read(go[0], &byte, 1) != 0) _exit(1); // ends for all when the parent closes its end
            try {
                put(root.scratch / ("seen/" + std::to_string(i)), instance_id(root.paths).str());
                _exit(0);
            } catch (...) {
                _exit(2);
            }
        }
        children.push_back(child);
    }
    fs::create_directories(root.scratch / "seen");
    close(go[0]);
    close(go[1]);
    for (pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(ended_with(status, 0));
    }
    std::set<std::string> ids;
    for (int i = 0; i < many; ++i) ids.insert(get(root.scratch / ("seen/" + std::to_string(i))));
    CHECK(ids == std::set<std::string>{instance_id(root.paths).str()});
    CHECK(entries(root.paths.state) == 1);
}

TEST_CASE("a file that holds no id is refused, never replaced") {
    for (const std::string& torn : {std::string(), std::string("\n"), std::string("0123456789abcdef"),
                                    std::string(32, 'G'), std::string(33, 'a')}) {
        CAPTURE(torn);
        Root root;
        put(root.paths.state / "instance-id", torn);
        CHECK(contains(config_error([&] { instance_id(root.paths); }), "instance-id holds no instance id"));
        CHECK(get(root.paths.state / "instance-id") == torn);
    }
}

TEST_CASE("a planted link is not taken for the instance id") {
    Root root;
    put(root.scratch / "elsewhere", std::string(32, 'a'));
    fs::create_directories(root.paths.state);
    fs::create_symlink(root.scratch / "elsewhere", root.paths.state / "instance-id");
    CHECK_THROWS_AS(instance_id(root.paths), Error);
}

TEST_CASE("the pool's name carries the instance's tag at every root but the default one") {
    Root root;
    put(root.paths.db_yaml(), "storage_pool: fast");
    DbConfig config = read_db_config(root.paths);
    InstanceId id = *InstanceId::try_parse("0123456789abcdef0123456789abcdef");
    CHECK(pool_name(config, root.paths, id) == "fast-01234567");
    CHECK(pool_name(config, paths_from_environment(), id) == "fast");
}
