// SPDX-License-Identifier: MIT
// What a token lacks, on nodes of both versions, and the commands that make one. Which calls need what is
// tried on the stand-in (tests/pve/test_preflight.py).
#include "base/error.hpp"
#include "base/text/text.hpp"
#include "platform/proxmox/role.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;

namespace {

const RoleScope scope{"pve1", "store", "local"};

/// The role that the commands make.
std::vector<std::string> role_of(int major) {
    const std::string commands = role_commands(major);
    const std::size_t from = commands.find("--privs \"") + 9;
    return text::split(commands.substr(from, commands.find('"', from) - from), ' ');
}

Privileges privileges_of(const std::vector<std::string>& names, bool below = true) {
    Privileges held;
    for (const std::string& name : names) held[name] = below;
    return held;
}

std::set<std::string> features_of(const std::vector<Lack>& lacks) {
    std::set<std::string> names;
    for (const Lack& lack : lacks) names.insert(lack.feature);
    return names;
}

} // namespace

TEST_CASE("the role that the commands make lacks nothing on its own version, and the agent on the other") {
    const std::set<std::string> agent{"guest agent: ask", "guest agent: freeze", "guest agent: run programs"};
    for (const int major : {8, 9}) {
        const auto held = [&](const std::string&) { return privileges_of(role_of(major)); };
        CHECK(lacks_of(std::to_string(major) + ".1.2", scope, held).empty());
        CHECK(features_of(lacks_of(major == 8 ? "9.0" : "8.4", scope, held)) == agent);
    }
}

TEST_CASE("the roles of both versions differ in the guest agent's privileges alone") {
    auto eight = role_of(8), nine = role_of(9);
    CHECK(eight.size() == 18);
    CHECK(nine.size() == 20);
    CHECK(std::vector(eight.begin(), eight.begin() + 17) == std::vector(nine.begin(), nine.begin() + 17));
    CHECK(eight[17] == "VM.Monitor");
    CHECK(std::vector(nine.begin() + 17, nine.end()) ==
          std::vector<std::string>{"VM.GuestAgent.Audit", "VM.GuestAgent.FileSystemMgmt",
                                   "VM.GuestAgent.Unrestricted"});
}

TEST_CASE("the commands stand in a text, one a line") {
    const auto lines = text::split(role_commands(9), '\n');
    REQUIRE(lines.size() == 8);
    CHECK(lines[1].starts_with("pveum role add BlockHost --privs \"VM.Allocate VM.Audit "));
    CHECK(lines[2] == "pveum user add blockhost@pve --comment \"BlockHost agent\"");
    CHECK(lines[3] == "pveum user token add blockhost@pve agent --privsep 1");
    CHECK(lines[4] == "pveum acl modify / --users blockhost@pve --roles BlockHost");
    CHECK(lines[5] == "pveum acl modify / --tokens 'blockhost@pve!agent' --roles BlockHost");
    for (const int wrong : {0, 7, 10}) CHECK_THROWS_AS(role_commands(wrong), Error);
}

TEST_CASE("each path is asked about once, and a storage that is not used is not asked about") {
    std::vector<std::string> asked;
    const auto held = [&](const std::string& path) {
        asked.push_back(path);
        return Privileges();
    };
    static_cast<void>(lacks_of("9.2", scope, held));
    CHECK(std::set(asked.begin(), asked.end()).size() == asked.size());
    CHECK(std::set<std::string>(asked.begin(), asked.end()) ==
          std::set<std::string>{"/", "/vms", "/nodes/pve1", "/storage/store", "/storage/local",
                                "/sdn/zones/localnetwork"});
    asked.clear();
    const auto features = features_of(lacks_of("9.2", {"pve1", "", ""}, held));
    CHECK(std::set<std::string>(asked.begin(), asked.end()) ==
          std::set<std::string>{"/", "/vms", "/nodes/pve1", "/sdn/zones/localnetwork"});
    for (const char* unused : {"backup", "delete a backup", "restore"})
        CHECK_FALSE(features.contains(unused));
    CHECK(features.contains("grow"));
}

TEST_CASE("a privilege that does not reach below /vms is none on a guest") {
    const auto held = [](const std::string& path) { return privileges_of(role_of(9), path != "/vms"); };
    const auto features = features_of(lacks_of("9.2", scope, held));
    CHECK(features.contains("see guests"));
    CHECK_FALSE(features.contains("host facts"));
    CHECK_FALSE(features.contains("SMART"));
}

TEST_CASE("a lack says what is needed where, and what to do") {
    const auto held = [](const std::string& path) {
        Privileges all = privileges_of(role_of(9));
        if (path == "/vms") all.erase("VM.Backup");
        if (path == "/storage/store") all.erase("Datastore.Allocate");
        return all;
    };
    const auto lacks = lacks_of("9.2", scope, held);
    REQUIRE(lacks.size() == 3);
    CHECK((lacks[0].feature == "backup" && lacks[0].what == "VM.Backup on /vms and below"));
    CHECK(lacks[0].remedy == "give the token, and its user, a role with VM.Backup on /vms and below");
    CHECK(lacks[1].feature == "delete a backup");
    CHECK(lacks[1].what == "VM.Backup on /vms and below or Datastore.Allocate on /storage/store");
    CHECK(lacks[2].feature == "restore");
}

TEST_CASE("a node of a version that is not supported is told as that") {
    const auto held = [](const std::string&) { return privileges_of(role_of(9)); };
    for (const char* version : {"7.4-3", "10.0", "", "x", "9x"}) {
        const auto lacks = lacks_of(version, scope, held);
        REQUIRE_FALSE(lacks.empty());
        CHECK(lacks[0].feature == "node");
    }
    CHECK(major_version("9.2.11") == 9);
    CHECK(major_version("8") == 8);
    CHECK_FALSE(major_version("-9"));
    CHECK_FALSE(major_version("99999999999999999999"));
}
