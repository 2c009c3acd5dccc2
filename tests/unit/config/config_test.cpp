// SPDX-License-Identifier: MIT
// Broker allocation, engine manifest, network mode, instance id.
#include "config/config.hpp"
#include "model/assignable.hpp"
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
}

TEST_CASE("there is no IPv6 where there is no allocation, or its prefix is the empty one of manual mode") {
    Root nothing;
    CHECK_FALSE(read_broker_allocation(nothing.paths));
    CHECK_FALSE(broker(R"({"prefix": ""})"));
    CHECK_FALSE(broker(R"({"prefix": "", "broker_node": "", "registry": "", "mode": "manual"})"));
    CHECK_FALSE(broker(R"({"prefix": null, "ipv6_prefix": ""})"));
}

TEST_CASE("an allocation that is no allocation is refused with its place") {
    const auto complaint = [](const std::string& text) {
        const std::string message = config_error([&] { broker(text); });
        const std::string name = "broker-allocation.json";
        const auto at = message.find(name);
        return at == message.npos ? "no such file in: " + message : message.substr(at + name.size());
    };
    CHECK(contains(complaint(""), " is empty: a program may have died while writing it"));
    CHECK(contains(complaint(" \n"), " is empty"));
    CHECK(contains(complaint("{"), ": line 1, column 2: "));
    CHECK(contains(complaint("{\n  \"prefix\": \"fd00::"), ": line 2, column "));
    CHECK(complaint("\n[]") == ": line 2, column 1: expected an object, found a list");
    CHECK(complaint("null") == ": line 1, column 1: expected an object, found null");
    CHECK(complaint("{}") == ": line 1, column 1: prefix: is missing (\"\" means that VMs get no IPv6)");
    CHECK(contains(complaint(R"({"prefix": null})"), "prefix: is missing"));
    CHECK(complaint("{\"a\": [\"}\", {\"prefix\": 1}],\n \"prefix\" : 5}") ==
          ": line 2, column 13: prefix: expected an IPv6 prefix such as 2a11:6c7:f04:276::/120, or \"\", "
          "found 5");
    for (const char* bad : {"fd00::", "10.0.0.0/8", "fd00::/129", "fd00::/x", "fd00::/-1", "none"}) {
        CAPTURE(bad);
        CHECK(contains(complaint("{\"prefix\": \"" + std::string(bad) + "\"}"),
                       ": line 1, column 12: prefix: expected an IPv6 prefix"));
    }
    CHECK(contains(complaint(R"({"ipv6_prefix": "fd00::"})"), "column 17: ipv6_prefix: expected"));
    CHECK(
        contains(complaint(R"({"prefix": "", "dns_zone": "a\nb"})"), "dns_zone: expected the name of a DNS"));
    CHECK(contains(complaint(R"({"prefix": "fd00::/64", "dns_zone": ["a"]})"), "found a list"));
    Root folder;
    fs::create_directories(folder.paths.broker_allocation());
    CHECK(contains(config_error([&] { read_broker_allocation(folder.paths); }), "Is a directory"));
}

TEST_CASE("addresses that no machine can have are not handed out") {
    for (const char* bad : {"fe80::/64", "febf:1::/32", "ff02::/64", "ff00::/8", "::1/128", "::/0", "::/128",
                            "::ffff:10.0.0.0/112", "64:ff9b::/96", "fec0::/10", "1000::/4", "fc00::/6"}) {
        CAPTURE(bad);
        const auto prefix = Ipv6Prefix::try_parse(bad);
        REQUIRE(prefix);
        CHECK(why_not_for_machines(*prefix));
        CHECK(contains(config_error([&] { broker("{\"prefix\": \"" + std::string(bad) + "\"}"); }),
                       "cannot be given to VMs"));
    }
    for (const char* good : {"2000::/3", "2a11:6c7:f04:276::/120", "fd00::/8", "fc00::/7", "2001:db8::/32"})
        CHECK_FALSE(why_not_for_machines(*Ipv6Prefix::try_parse(good)));
    for (const char* bad : {"0.0.0.0/0", "0.1.0.0/16", "127.0.0.0/24", "169.254.9.0/24", "224.0.0.0/24",
                            "192.0.0.0/2", "255.255.255.0/24", "240.0.0.0/8"})
        CHECK(why_not_for_machines(*Ipv4Network::try_parse(bad)));
    for (const char* good :
         {"10.0.0.0/8", "192.168.122.0/24", "100.64.0.0/10", "172.16.0.0/12", "203.0.113.0/24"})
        CHECK_FALSE(why_not_for_machines(*Ipv4Network::try_parse(good)));
}

TEST_CASE("an engine manifest has a wallet pattern or has none") {
    Root nothing;
    CHECK_FALSE(read_engine_manifest(nothing.paths).found);
    EngineManifest good = manifest(R"({"constraints": {"address_pattern": "^0x[0-9a-fA-F]{40}$"}})");
    CHECK(good.found);
    CHECK(good.address_pattern == "^0x[0-9a-fA-F]{40}$");
    for (const char* without : {"{}", R"({"constraints": null})", R"({"constraints": {}})",
                                R"({"constraints": {"address_pattern": null}})", R"({"name": "x"})"}) {
        CAPTURE(without);
        CHECK(manifest(without).found);
        CHECK(manifest(without).address_pattern.empty());
    }
}

TEST_CASE("an engine manifest that is torn or wrong never passes for one without a pattern") {
    const auto complaint = [](const std::string& text) { return config_error([&] { manifest(text); }); };
    CHECK(contains(complaint(""), "engine.json is empty"));
    CHECK(contains(complaint(R"({"constraints": {"address_pattern": "^0x)"), "engine.json: line 1, column "));
    CHECK(contains(complaint("[]"), "engine.json: line 1, column 1: expected an object, found a list"));
    CHECK(contains(complaint("{\n\"constraints\": []}"),
                   "engine.json: line 2, column 16: constraints: expected an object, found a list"));
    CHECK(contains(complaint(R"({"constraints": {"x": "{\"", "address_pattern": 5}})"),
                   "line 1, column 49: constraints.address_pattern: expected a regular expression, found 5"));
    CHECK(contains(complaint(R"({"constraints": {"address_pattern": "^0x["}})"),
                   "expected a regular expression, found \"^0x[\""));
    Root root;
    fs::create_directories(root.paths.engine_manifest());
    CHECK(contains(config_error([&] { read_engine_manifest(root.paths); }), "Is a directory"));
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
    for (const char* empty : {"", "\n"}) {
        Root root;
        put(root.paths.etc / "network-mode", empty);
        CHECK(contains(config_error([&] { read_network_mode(root.paths); }), "network-mode is empty"));
    }
    for (const char* strange : {"two words", "a\nb", "../x"}) {
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
    fs::create_directories(fs::path(root.paths.state.string()).parent_path());
    CHECK_FALSE(existing_instance_id(root.paths));
    mode_t before = umask(077);
    InstanceId id = instance_id(root.paths);
    umask(before);
    CHECK(instance_id(root.paths) == id);
    CHECK(existing_instance_id(root.paths) == id);
    CHECK(mode_of(root.paths.state.string("instance-id")) == 0644);
    CHECK(get(root.paths.state.string("instance-id")) == id.str() + "\n");
    CHECK(entries(root.paths.state.string()) == 1); // no temporary is left
}

TEST_CASE("asking for an existing id makes nothing") {
    Root root;
    fs::create_directories(root.paths.state.string());
    CHECK_FALSE(existing_instance_id(root.paths));
    CHECK(entries(root.paths.state.string()) == 0);
}

TEST_CASE("processes that need the first id at the same time agree on it") {
    Root root;
    fs::create_directories(root.paths.state.string());
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
    CHECK(entries(root.paths.state.string()) == 1);
}

TEST_CASE("a file that holds no id is refused, never replaced") {
    for (const std::string& torn : {std::string(), std::string("\n"), std::string("0123456789abcdef"),
                                    std::string(32, 'G'), std::string(33, 'a')}) {
        CAPTURE(torn);
        Root root;
        put(root.paths.state.string("instance-id"), torn);
        CHECK(contains(config_error([&] { instance_id(root.paths); }), "instance-id holds no instance id"));
        CHECK(get(root.paths.state.string("instance-id")) == torn);
    }
}

TEST_CASE("a planted link is not taken for the instance id") {
    Root root;
    put(root.scratch / "elsewhere", std::string(32, 'a'));
    fs::create_directories(root.paths.state.string());
    fs::create_symlink(root.scratch / "elsewhere", root.paths.state.string("instance-id"));
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
