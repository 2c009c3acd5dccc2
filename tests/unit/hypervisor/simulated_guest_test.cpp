// SPDX-License-Identifier: MIT
// The simulated guest's shell and agent: as much of them as tests of other floors lean on.

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "hypervisor/open.hpp"
#include "hypervisor/simulated/shell.hpp"
#include "hypervisor/simulated/store.hpp"
#include "support.hpp"
#include "tests/unit/defined_by_others.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <fstream>

using namespace blockhost;
using namespace hypervisor_test;
using namespace simulated;
namespace bj = boost::json;
namespace fs = std::filesystem;

namespace {

Ended shell(const std::string& text, Files files = {}) {
    return run_program("/bin/sh", {"-c", text}, files, false);
}

/// A running domain whose agent answers.
struct Playground {
    TemporaryFolder folder;
    fs::path world = folder.path() / "world";
    std::unique_ptr<Hypervisor> hypervisor = open();
    std::unique_ptr<Hypervisor> open() const { return open_simulated(world); }
    Playground() {
        behave(R"({"boot_ms": 0})");
        define_as_others(
            world, "<domain type='qemu'><name>a</name><devices><channel type='unix'><target type='virtio' "
                   "name='org.qemu.guest_agent.0'/></channel></devices></domain>");
        hypervisor->start("a");
    }
    void behave(const std::string& json) const { std::ofstream(world / "behaviour.json") << json; }
    static bj::value ask(Hypervisor& hypervisor, const char* command, bj::object arguments) {
        auto reply = hypervisor.agent(
            "a", bj::serialize(bj::object{{"execute", command}, {"arguments", std::move(arguments)}}), 1);
        return bj::parse(reply).at("return");
    }
    static bj::value run(Hypervisor& hypervisor, const std::string& path, bj::array words) {
        auto pid = ask(hypervisor, "guest-exec", {{"path", path}, {"arg", std::move(words)}}).at("pid");
        return ask(hypervisor, "guest-exec-status", {{"pid", pid}});
    }
};

} // namespace

TEST_CASE("the shell's commands end as a shell's") {
    CHECK(shell("exit 7; echo x").code == 7);
    CHECK(shell("true").code == 0);
    CHECK(shell("false").code == 1);
    CHECK(shell("kill -TERM $$; echo x").signal == 15);
    CHECK(shell("kill -9 $$").signal == 9);
    CHECK(shell("false && echo no; true && echo yes").out == "yes\n");
    CHECK(shell("false || echo yes\ntrue || echo no").out == "yes\n");
    auto unknown = shell("reboot now");
    CHECK(unknown.code == 127);
    CHECK(unknown.err == "/bin/sh: 1: reboot: not found\n");
    CHECK(shell("sleep 2; sleep 1").milliseconds == 3000);
}

TEST_CASE("the shell's words keep their quotes' content and lose the quotes") {
    CHECK(shell(R"(echo a   b 'c  ;d' "e \" f" g\ h)").out == "a b c  ;d e \" f g h\n");
    CHECK(shell("echo out; echo err >&2").err == "err\n");
    CHECK(shell(R"(printf 'a\n\101\000\377\\')").out == std::string("a\nA\0\xff\\\\", 7));
    CHECK(shell("cat /f", {{"/f", "content"}}).out == "content");
    CHECK(shell("cat /g").code == 1);
}

TEST_CASE("usermod changes one user's comment and nothing else") {
    Files files{{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nal:x:1:1:old:/home/al:/bin/sh\n"}};
    auto usermod = [&](std::vector<std::string> words, bool locked = false) {
        return run_program("/usr/sbin/usermod", words, files, locked).code;
    };
    CHECK(usermod({"-c", "new", "--", "al"}, true) == 1);
    CHECK(usermod({"-c", "a:b", "--", "al"}) == 3);
    CHECK(usermod({"-c", "new", "--", "bo"}) == 6);
    CHECK(files["/etc/passwd"].find("new") == std::string::npos);
    CHECK(usermod({"-c", "new", "--", "al"}) == 0);
    CHECK(files["/etc/passwd"] == "root:x:0:0:root:/root:/bin/sh\nal:x:1:1:new:/home/al:/bin/sh\n");
}

TEST_CASE("what runs in a guest changes it for every connection, until the domain is gone") {
    Playground play;
    auto passwd = play.world / "guests/a.passwd";
    CHECK_FALSE(fs::exists(passwd));
    auto ended = Playground::run(*play.hypervisor, "/usr/sbin/usermod", {"-c", "boss", "--", "root"});
    CHECK(ended.at("exitcode") == 0);
    auto seen = Playground::run(*play.open(), "/bin/sh", {"-c", "getent passwd root"});
    CHECK(base64::decode(std::string(seen.at("out-data").as_string())) ==
          "root:x:0:0:boss:/root:/bin/bash\n");
    play.hypervisor->power_off("a");
    play.hypervisor->undefine("a");
    CHECK_FALSE(fs::exists(passwd));
}

TEST_CASE("a program's end is told once, and only after it") {
    Playground play;
    auto& agent = *play.hypervisor;
    auto pid =
        Playground::ask(agent, "guest-exec", {{"path", "/bin/sh"}, {"arg", {"-c", "sleep 60"}}}).at("pid");
    CHECK(Playground::ask(agent, "guest-exec-status", {{"pid", pid}}) == bj::value{{"exited", false}});
    pid = Playground::ask(agent, "guest-exec", {{"path", "/bin/true"}}).at("pid");
    CHECK(Playground::ask(agent, "guest-exec-status", {{"pid", pid}}).at("exited") == true);
    CHECK_THROWS_AS(Playground::ask(agent, "guest-exec-status", {{"pid", pid}}), Error);
}

TEST_CASE("a slow agent answers late, and not at all to whoever does not wait so long") {
    Playground play;
    constexpr const char* ping = R"({"execute":"guest-ping"})";
    play.behave(R"({"boot_ms": 0, "agent": "slow", "agent_ms": 30})");
    CHECK(play.hypervisor->agent("a", ping, 1) == R"({"return":{}})");
    CHECK_THROWS_WITH(play.hypervisor->agent("a", ping, 1, std::chrono::milliseconds(5)),
                      Catch::Contains("is not responding"));
    play.behave(R"({"boot_ms": 0, "agent": "slow", "agent_ms": 60000, "agent_at": "guest-exec"})");
    CHECK(play.hypervisor->agent("a", ping, 1) == R"({"return":{}})");
}
