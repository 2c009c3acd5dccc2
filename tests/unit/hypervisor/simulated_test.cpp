// SPDX-License-Identifier: MIT
// What the simulated world does beyond the conformance suite: faults, late arrivals, misbehaviour, sharing.

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/open.hpp"
#include "support.hpp"
#include "tests/unit/defined_by_others.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

using namespace blockhost;
using namespace hypervisor_test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr const char* ping = R"({"execute":"guest-ping"})";

std::string xml_of(const std::string& name) {
    return "<domain type='qemu'><name>" + name +
           "</name><devices><channel type='unix'><target type='virtio' "
           "name='org.qemu.guest_agent.0'/></channel>"
           "</devices></domain>";
}

/// The same as a spec, with the files that its start wants.
DomainSpec spec_of(const fs::path& world, const std::string& name) {
    auto spec = example_spec();
    spec.name = VmName(name);
    spec.uuid = Uuid::random();
    spec.filter = "";
    spec.disk_path = spec.seed_path = (world / "templates/blockhost-base.qcow2").string();
    return spec;
}

struct Playground {
    TemporaryFolder folder;
    fs::path world = folder.path() / "world";
    std::unique_ptr<Hypervisor> hypervisor = open_simulated(world);

    void behave(const std::string& json) const { std::ofstream(world / "behaviour.json") << json; }
    std::string running(const std::string& name) const {
        define_as_others(world, xml_of(name));
        hypervisor->start(name);
        return name;
    }
};

/// The code of what `call` throws.
Code code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error was thrown");
    return Code::internal;
}

/// Waits for `true`, 20 s at most.
bool eventually(const std::function<bool()>& condition) {
    for (auto deadline = Deadline::in(20s); !deadline.passed(); ::usleep(20'000))
        if (condition()) return true;
    return false;
}

/// Runs `call` in a child process with that fault and, where told so, late arrivals; returns its wait status.
int in_child(const std::string& fault, bool late, const std::function<void()>& call) {
    auto child = ::fork();
    if (child == 0) {
        ::setenv("BLOCKHOST_FAULT", fault.c_str(), 1);
        if (late) ::setenv("BLOCKHOST_SIM_LATE", "1", 1);
        try {
            call();
        } catch (const Error&) {
            ::_exit(3);
        }
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

bool was_killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/// The guest's file, through its agent, as text of the JSON replies.
std::string opened(Hypervisor& hypervisor, const std::string& name, const std::string& path) {
    return hypervisor.agent(
        name, R"({"execute":"guest-file-open","arguments":{"path":")" + path + R"(","mode":"r"}})", 1);
}

} // namespace

TEST_CASE("a new world brings a template that reads as a qcow2 image") {
    Playground play;
    CHECK(qcow2_virtual_size(play.world / "templates/blockhost-base.qcow2") == 2ull << 30);
}

TEST_CASE("what one process left in the world the next one finds") {
    Playground play;
    auto status = in_child("", false, [&] { open_simulated(play.world)->define(spec_of(play.world, "a")); });
    CHECK(status == 0);
    CHECK(play.hypervisor->state("a") == PowerState::off);
}

TEST_CASE("a world that is down cannot be reached, neither at opening nor later") {
    Playground play;
    play.behave(R"({"down": true})");
    CHECK(code_of([&] { play.hypervisor->states(); }) == Code::hypervisor_down);
    CHECK(code_of([&] { open_simulated(play.world); }) == Code::hypervisor_down);
    play.behave("{}");
    CHECK(play.hypervisor->states().empty());
}

TEST_CASE("the agent connects some time after the start, and whoever watches hears of it") {
    Playground play;
    define_as_others(play.world, xml_of("a"));
    play.hypervisor->watch("a");
    play.hypervisor->start("a");
    CHECK(play.hypervisor->wait(20s) == Wake::lifecycle);
    CHECK(play.hypervisor->wait(20s) == Wake::agent_connected);
    CHECK(play.hypervisor->agent("a", ping, 1) == R"({"return":{}})");
    play.hypervisor->power_off("a");
    CHECK(play.hypervisor->wait(20s) == Wake::lifecycle);
    CHECK(play.hypervisor->wait(20s) == Wake::agent_disconnected);
}

TEST_CASE("a silent agent is connected and answers nothing") {
    Playground play;
    play.behave(R"({"agent": "silent", "boot_ms": 0})");
    auto name = play.running("a");
    CHECK(code_of([&] { play.hypervisor->agent(name, ping, 1); }) == Code::guest);
}

TEST_CASE("cloud-init's files show how far it came") {
    Playground play;
    play.behave(R"({"boot_ms": 0, "cloud_init": "running"})");
    auto name = play.running("a");
    const std::string status = "/run/cloud-init/status.json",
                      finished = "/var/lib/cloud/instance/boot-finished";
    CHECK_NOTHROW(opened(*play.hypervisor, name, status));
    CHECK(code_of([&] { opened(*play.hypervisor, name, finished); }) == Code::guest);
    play.behave(R"({"boot_ms": 0, "cloud_init": "disabled"})");
    CHECK_NOTHROW(opened(*play.hypervisor, name, "/run/cloud-init/disabled"));
    CHECK(code_of([&] { opened(*play.hypervisor, name, status); }) == Code::guest);
    play.behave(R"({"boot_ms": 0})");
    CHECK_NOTHROW(opened(*play.hypervisor, name, finished));
}

TEST_CASE("a guest's file is read in pieces to its end, and closed once") {
    Playground play;
    play.behave(R"({"boot_ms": 0})");
    auto name = play.running("a");
    CHECK(opened(*play.hypervisor, name, "/var/lib/cloud/instance/boot-finished") == R"({"return":1000})");
    auto ask = [&](const std::string& verb, const std::string& more) {
        return play.hypervisor->agent(
            name, R"({"execute":"guest-file-)" + verb + R"(","arguments":{"handle":1000)" + more + "}}", 1);
    };
    CHECK(ask("read", R"(,"count":5)") == R"({"return":{"count":5,"buf-b64":"MjAuMDA=","eof":false}})");
    CHECK(ask("read", R"(,"count":100)") ==
          R"({"return":{"count":13,"buf-b64":"IC0gc2ltdWxhdGVkCg==","eof":true}})");
    ask("close", "");
    CHECK(code_of([&] { ask("close", ""); }) == Code::guest);
}

TEST_CASE("a shutdown is obeyed after a moment, or ignored") {
    Playground play;
    auto name = play.running("a");
    play.behave(R"({"shutdown": "ignores"})");
    play.hypervisor->shutdown(name);
    play.behave(R"({"shutdown_ms": 50})");
    CHECK(play.hypervisor->state(name) == PowerState::running);
    play.hypervisor->shutdown(name);
    CHECK(eventually([&] { return play.hypervisor->state(name) == PowerState::off; }));
    CHECK(play.hypervisor->find(name)->reason == "shutdown");
}

TEST_CASE("a paused domain is resumed, not started") {
    Playground play;
    auto name = play.running("a");
    simulated::Store store(play.world);
    auto domain = *store.domain(name);
    domain.state = PowerState::paused;
    store.put(name, domain);
    CHECK(code_of([&] { play.hypervisor->start(name); }) == Code::wrong_state);
    play.hypervisor->unpause(name);
    CHECK(play.hypervisor->state(name) == PowerState::running);
}

TEST_CASE("what is paused hears of no shutdown, and a full disk pauses what runs on") {
    Playground play;
    const auto name = play.running("a");
    play.behave(R"({"disk": "full"})");
    CHECK(play.hypervisor->power(name) == Power{PowerState::paused, "I/O error"});
    CHECK(play.hypervisor->disk_trouble(name, 1s) == "no space left for vda");
    CHECK(code_of([&] { play.hypervisor->shutdown(name); }) == Code::wrong_state);
    play.hypervisor->unpause(name);
    CHECK(play.hypervisor->power(name) == Power{PowerState::paused, "I/O error"});
    play.behave("{}");
    play.hypervisor->unpause(name);
    CHECK(play.hypervisor->power(name) == Power{PowerState::running, "unpaused"});
}

TEST_CASE("a guest that goes down has no agent any more") {
    Playground play;
    play.behave(R"({"boot_ms": 0, "shutdown_ms": 60000})");
    const auto name = play.running("a");
    play.hypervisor->agent(name, ping, 1);
    play.hypervisor->shutdown(name);
    CHECK(play.hypervisor->state(name) == PowerState::running);
    CHECK(code_of([&] { play.hypervisor->agent(name, ping, 1); }) == Code::guest);
}

TEST_CASE("a domain whose disk or filter is missing does not start") {
    Playground play;
    auto without_disk =
        "<domain><name>a</name><devices><disk><source file='/nonexistent'/></disk></devices></domain>";
    auto without_filter =
        "<domain><name>b</name><devices><interface><filterref filter='none'/></interface></devices>"
        "</domain>";
    define_as_others(play.world, without_disk);
    define_as_others(play.world, without_filter);
    CHECK(code_of([&] { play.hypervisor->start("a"); }) == Code::hypervisor);
    CHECK(code_of([&] { play.hypervisor->start("b"); }) == Code::hypervisor);
}

TEST_CASE("the world writes no disks outside of itself") {
    Playground play;
    auto outside = (play.folder.path() / "outside").string();
    CHECK(code_of([&] { play.hypervisor->ensure_pool("p", outside); }) == Code::config);
    CHECK_FALSE(fs::exists(outside));
}

TEST_CASE("host and pool show what behaviour.json says") {
    Playground play;
    play.behave(R"({"host_memory_mib": 3072, "host_cpus": 3, "pool_available": 12345})");
    CHECK(play.hypervisor->host().memory_mib == 3072);
    CHECK(play.hypervisor->host().cpus == 3);
    play.hypervisor->ensure_pool("p", (play.world / "vms").string());
    CHECK(play.hypervisor->find_pool("p")->available_bytes == 12345);
}

TEST_CASE("a name that would leave the world is refused") {
    Playground play;
    CHECK(code_of([&] { define_as_others(play.world, xml_of("../a")); }) == Code::invalid);
    TrialSpec outside{.name = "../a", .uuid = Uuid::random(), .disk_path = "", .console_path = ""};
    CHECK(code_of([&] { play.hypervisor->start_transient(outside); }) == Code::invalid);
    CHECK(code_of([&] { play.hypervisor->find(".."); }) == Code::invalid);
}

TEST_CASE("a fault before a call keeps its effect away, one after it doesn't") {
    Playground play;
    auto define = [&](const std::string& name) {
        return [&play, name] { open_simulated(play.world)->define(spec_of(play.world, name)); };
    };
    CHECK(WEXITSTATUS(in_child("fail@1", false, define("before"))) == 3);
    CHECK_FALSE(play.hypervisor->state("before"));
    CHECK(WEXITSTATUS(in_child("fail@2", false, define("after"))) == 3);
    CHECK(play.hypervisor->state("after"));
    CHECK(was_killed(in_child("kill@1", false, define("killed"))));
    CHECK_FALSE(play.hypervisor->state("killed"));
}

TEST_CASE("a killed process's last call arrives late where late arrivals are played") {
    Playground play;
    CHECK(was_killed(
        in_child("kill@1", true, [&] { open_simulated(play.world)->define(spec_of(play.world, "a")); })));
    CHECK(eventually([&] { return play.hypervisor->state("a").has_value(); }));
    CHECK(was_killed(in_child("kill@1", true, [&] { open_simulated(play.world)->start("a"); })));
    CHECK(eventually([&] { return play.hypervisor->state("a") == PowerState::running; }));
    play.hypervisor->ensure_pool("p", (play.world / "vms").string());
    const VolumeSpec volume{"v.qcow2", 1 << 20, ""};
    CHECK(was_killed(
        in_child("kill@1", true, [&] { open_simulated(play.world)->create_volume("p", volume); })));
    CHECK(eventually(
        [&] { return play.hypervisor->find_volume((play.world / "vms/v.qcow2").string()).has_value(); }));
}

TEST_CASE("a killed process's last call is not there at once where late arrivals are played") {
    Playground play;
    CHECK(was_killed(
        in_child("kill@1", true, [&] { open_simulated(play.world)->define(spec_of(play.world, "a")); })));
    CHECK(fs::exists(play.world / "pending"));
    CHECK_FALSE(fs::is_empty(play.world / "pending"));
    CHECK_FALSE(fs::exists(play.world / "domains/a.xml"));
}

TEST_CASE("a call that merely failed does not arrive late") {
    Playground play;
    CHECK(WEXITSTATUS(in_child("fail@1", true,
                               [&] { open_simulated(play.world)->define(spec_of(play.world, "a")); })) == 3);
    CHECK(fs::is_empty(play.world / "pending"));
}
