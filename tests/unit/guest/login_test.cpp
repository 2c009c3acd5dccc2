// SPDX-License-Identifier: MIT
// The login that user-data promises, what of it a guest has, and what systemd in it still has to do.
#include "guest/login.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "guest/boot_jobs.hpp"
#include "guest/user_data.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <map>

using namespace blockhost;
using namespace blockhost::guest;
namespace bj = boost::json;

namespace {

using Files = std::map<std::string, std::string>;

/// An agent that opens these files, and reads each at once.
AgentCall agent_with(const Files& files) {
    return [files, opened = std::make_shared<std::string>()](const std::string& message) {
        const bj::value command = bj::parse(message);
        const std::string name(command.at("execute").as_string());
        if (name == "guest-file-open") {
            *opened = command.at("arguments").at("path").as_string();
            if (!files.contains(*opened))
                throw Error(Code::guest, "failed to open: No such file or directory");
            return std::string(R"({"return":7})");
        }
        if (name == "guest-file-close") return std::string(R"({"return":{}})");
        const std::string& content = files.at(*opened);
        return bj::serialize(bj::object{
            {"return",
             bj::object{{"count", content.size()}, {"buf-b64", base64::encode(content)}, {"eof", true}}}});
    };
}

/// An agent that runs one program, which ends like that.
AgentCall agent_running(int code, const std::string& out) {
    return [=](const std::string& message) {
        const std::string name(bj::parse(message).at("execute").as_string());
        if (name == "guest-exec") return std::string(R"({"return":{"pid":9}})");
        return bj::serialize(bj::object{
            {"return", bj::object{{"exited", true}, {"exitcode", code}, {"out-data", base64::encode(out)}}}});
    };
}

constexpr const char* owned =
    "#cloud-config\nusers:\n  - default\n  - name: alice\n"
    "    gecos: \"wallet=0xAb,nft=7\"\n    ssh_authorized_keys:\n"
    "      - ssh-ed25519 AAAAC3one alice@home\n      - from=\"x\" ssh-rsa AAAAB3two\n";
const std::string passwd = "root:x:0:0:root:/root:/bin/bash\n";

} // namespace

TEST_CASE("a login is what user-data's list of users says of that name") {
    const Login alice = login_in(owned, "alice");
    CHECK(alice.declared);
    CHECK(alice.owner == std::vector<std::string>{"wallet=0xAb"});
    CHECK(alice.keys == std::vector<std::string>{"AAAAC3one", "AAAAB3two"});
    CHECK_FALSE(login_in(owned, "bob").declared);
    CHECK_FALSE(login_in("#cloud-config\n", "alice").declared);
}

TEST_CASE("every spelling of users that cloud-init knows declares them") {
    const std::string text = GENERATE("users: alice,bob", "users: [default, alice]",
                                      "users: [\"bob, alice\"]", "users: {alice: {gecos: x}}", "user: alice",
                                      "user: {name: alice}", "users:\n - <<: {gecos: x}\n   name: alice",
                                      "users:\n - &a {shell: /bin/sh}\n - {<<: *a, name: alice}");
    CAPTURE(text);
    CHECK(login_in("#cloud-config\n" + text + "\n", "alice").declared);
}

TEST_CASE("what is no cloud-config, or no YAML, declares nobody") {
    const std::string text =
        GENERATE("#!/bin/sh\nuseradd alice\n", "## template: jinja\n#cloud-config\nusers: [alice]\n",
                 "#cloud-config\nusers: [alice\n", "#cloud-config\n- users\n", "", "users: [alice]\n",
                 "#cloud-config-archive\n- users: [alice]\n");
    CHECK_FALSE(login_in(text, "alice").declared);
}

TEST_CASE("a guest lacks a user that its passwd does not have") {
    const Login alice = login_in(owned, "alice");
    CHECK(lacking(agent_with({{"/etc/passwd", passwd}}), alice) == "the guest has no user alice");
    CHECK(lacking(agent_with({{"/etc/passwd", passwd + "alice2:x:1:1::/:/bin/sh\nalice:torn\n"}}), alice) ==
          "the guest has no user alice");
    CHECK(lacking(agent_with({}), alice) == "the guest has no user alice");
}

TEST_CASE("a login is its owner's by the wallet in its GECOS field, and has all of its keys") {
    const Login alice = login_in(owned, "alice");
    Files files{
        {"/etc/passwd", passwd + "alice:x:1000:1000:wallet=0xaB,nft=8:/home/alice:/bin/bash\n"},
        {"/home/alice/.ssh/authorized_keys", "ssh-ed25519 AAAAC3one alice@home\nssh-rsa AAAAB3two\n"}};
    CHECK(lacking(agent_with(files), alice).empty());
    SECTION("another wallet") {
        files["/etc/passwd"] = passwd + "alice:x:1000:1000:wallet=0xAc\x1b[2J,nft=7:/home/alice:/bin/bash\n";
        CHECK_THAT(lacking(agent_with(files), alice), Catch::Contains("is not the owner's") &&
                                                          Catch::Contains("without 'wallet=0xAb'") &&
                                                          !Catch::Contains("\x1b"));
    }
    SECTION("one key of two") {
        files["/home/alice/.ssh/authorized_keys"] = "ssh-rsa AAAAB3two\n";
        CHECK_THAT(lacking(agent_with(files), alice), Catch::Contains("does not have the SSH key"));
    }
    SECTION("no keys at all") {
        files.erase("/home/alice/.ssh/authorized_keys");
        CHECK_THAT(lacking(agent_with(files), alice), Catch::Contains("does not have the SSH key"));
    }
}

TEST_CASE("a guest whose files cannot be read lacks nothing for certain") {
    const AgentCall silent = [](const std::string&) -> std::string {
        throw Error(Code::guest, "Guest agent is not responding: not connected");
    };
    CHECK_THROWS_AS(lacking(silent, login_in(owned, "alice")), Error);
}

TEST_CASE("systemd's jobs tell whether cloud-init has a stage to run, and what that waits for") {
    const BootJobs jobs = read_boot_jobs(" 98 slow.service         start running\n"
                                         "112 cloud-final.service  start waiting\n"
                                         "  1 multi-user.target    start waiting\n"
                                         " 99 odd\x1b[0m.service   start running\n");
    CHECK(jobs.of_cloud_init);
    CHECK(jobs.at_work == std::vector<std::string>{"slow.service", "odd\\x1b[0m.service"});
    const BootJobs none = read_boot_jobs("No jobs running.\n");
    CHECK_FALSE(none.of_cloud_init);
    CHECK(none.at_work.empty());
    CHECK_FALSE(read_boot_jobs("5 cloudy.service start running\n").of_cloud_init);
}

TEST_CASE("a guest without systemd, or an agent that runs nothing, leaves it open what is waited for") {
    CHECK(boot_jobs(agent_running(0, ""), {})->of_cloud_init == false);
    CHECK(boot_jobs(agent_running(0, "7 cloud-final.service start waiting\n"), {})->of_cloud_init);
    CHECK_FALSE(boot_jobs(agent_running(1, ""), {}));
    const AgentCall refuses = [](const std::string&) -> std::string {
        throw Error(Code::guest,
                    "internal error: unable to execute QEMU agent command 'guest-exec': disabled");
    };
    CHECK_FALSE(boot_jobs(refuses, {}));
    const AgentCall silent = [](const std::string&) -> std::string {
        throw Error(Code::guest, "Guest agent is not responding: not connected");
    };
    CHECK_THROWS_AS(boot_jobs(silent, {}), Error);
}

TEST_CASE("user-data is what cloud-init takes its beginning for") {
    CHECK(kind_of("#cloud-config\n") == UserDataKind::cloud_config);
    CHECK(kind_of("\n  #Cloud-Config\nusers: []\n") == UserDataKind::cloud_config);
    for (const char* text : {"#!/bin/sh\n", "#include\nhttp://x\n", "#cloud-config-archive\n",
                             "#cloud-boothook\n", "## template: jinja\n#cloud-config\n",
                             "Content-Type: multipart/mixed\nMIME-Version: 1.0\n", "\x1f\x8b\x08..."})
        CHECK(kind_of(text) == UserDataKind::other);
    CHECK(kind_of("") == UserDataKind::empty);
    CHECK(kind_of(" \n\t\n") == UserDataKind::empty);
    CHECK(kind_of("\xef\xbb\xbf#cloud-config\n") == UserDataKind::marked);
    CHECK(kind_of("users: []\n") == UserDataKind::unknown);
    CHECK(kind_of("# a comment\n#cloud-config\n") == UserDataKind::unknown);
}

TEST_CASE("user-data that cloud-init would ignore is refused by name") {
    const auto refused = [](const std::string& text) {
        try {
            require_user_data(text, "the given user-data");
        } catch (const Error& error) {
            CHECK(error.code() == Code::invalid);
            return error.message();
        }
        return std::string("taken");
    };
    CHECK_THAT(refused(""), Catch::Contains("the given user-data is empty"));
    CHECK_THAT(refused("\xef\xbb\xbf#cloud-config\n"), Catch::Contains("byte order mark"));
    CHECK_THAT(refused("users: []\n"), Catch::Contains("no header"));
    CHECK(refused("#cloud-config\n") == "taken");
}

TEST_CASE("YAML that cannot be read is told with its place") {
    CHECK(malformed_in("#cloud-config\nusers: []\n").empty());
    CHECK(malformed_in("#cloud-config\n").empty());
    CHECK(malformed_in("#!/bin/sh\n{[").empty());
    CHECK_THAT(malformed_in("#cloud-config\nusers: [\n"), Catch::StartsWith("line "));
    CHECK(malformed_in("#cloud-config\n- a\n") == "it is not a mapping");
}
