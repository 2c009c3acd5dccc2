// SPDX-License-Identifier: MIT
// Routes and neighbour entries, in a network namespace of the test's own.
#include "host/network.hpp"

#include "base/files/files.hpp"
#include "base/process.hpp"
#include "tests/unit/root_agent_double.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <sched.h>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
namespace fs = std::filesystem;

namespace {

std::string ip(std::vector<std::string> arguments) {
    auto result =
        run({.program = "/usr/sbin/ip", .arguments = std::move(arguments), .environment = {}, .input = {}});
    INFO(result.err);
    REQUIRE(result.ok());
    return result.out;
}

/// Moves this thread into an empty network namespace, and back at its end. `entered` says whether that went.
class Namespace {
  public:
    Namespace() : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
        entered = home_ && unshare(CLONE_NEWNET) == 0;
        if (!entered) WARN("skipped: a network namespace needs root");
    }
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;
    ~Namespace() {
        if (entered) setns(home_.get(), CLONE_NEWNET);
    }
    bool entered = false;

  private:
    Fd home_;
};

/// A bridge with an address, and nothing else.
void make_bridge() {
    ip({"link", "set", "lo", "up"});
    ip({"link", "add", "br-test", "type", "bridge"});
    ip({"link", "set", "br-test", "up"});
    ip({"addr", "add", "169.254.7.7/16", "dev", "br-test"});
    ip({"addr", "add", "10.9.8.1/24", "dev", "br-test"});
}

const VmName vm("web-1");
const host::Placement placement{.bridge = "br-test",
                                .mac = *Mac::try_parse("52:54:00:12:34:56"),
                                .ip = *Ipv4::try_parse("10.9.8.5"),
                                .ipv6 = Ipv6::try_parse("2001:db8::202")};

/// The pool that the test's addresses are from.
const Ipv4Pool pool{Ipv4Network(*Ipv4::try_parse("10.9.8.0"), 24), *Ipv4::try_parse("10.9.8.2"),
                    *Ipv4::try_parse("10.9.8.9"), Ipv4::try_parse("10.9.8.9")};

/// Paths of a host with the broker's prefix 2001:db8::/120.
struct Host {
    TemporaryFolder folder;
    Paths paths = [this] {
        Paths made;
        fs::permissions(folder.path, fs::perms(0755)); // others read it, too
        made.etc = folder.path;
        made.world = folder.path / "mock-world";
        std::ofstream(made.broker_allocation()) << R"({"prefix": "2001:db8::200/120"})";
        return made;
    }();
};

std::string neighbours() {
    return ip({"-4", "neigh", "show", "dev", "br-test"}) + ip({"-6", "neigh", "show", "dev", "br-test"});
}

} // namespace

TEST_CASE(
    "a placed VM has its route and two permanent neighbour entries, and placing it again changes nothing") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    Host host;
    host::KernelNetwork network{host.paths, pool};
    for (int time = 0; time < 2; ++time) {
        CHECK(network.place(vm, placement).empty());
        CHECK_THAT(ip({"-6", "route", "show", "dev", "br-test"}), Catch::Contains("2001:db8::202 "));
        CHECK_THAT(neighbours(), Catch::Contains("10.9.8.5 lladdr 52:54:00:12:34:56 PERMANENT") &&
                                     Catch::Contains("2001:db8::202 lladdr 52:54:00:12:34:56 PERMANENT"));
    }
}

TEST_CASE("a new VM with an old one's address gets the neighbour entry") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    Host host;
    host::KernelNetwork network{host.paths, pool};
    auto other = placement;
    other.mac = *Mac::try_parse("52:54:00:00:00:01");
    CHECK(network.place(vm, other).empty());
    CHECK(network.place(vm, placement).empty());
    CHECK_THAT(neighbours(), !Catch::Contains("52:54:00:00:00:01") && Catch::Contains("52:54:00:12:34:56"));
}

TEST_CASE("removing a placement leaves nothing, and may be repeated") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    Host host;
    host::KernelNetwork network{host.paths, pool};
    CHECK(network.place(vm, placement).empty());
    for (int time = 0; time < 2; ++time) {
        CHECK(network.unplace(vm, "br-test", placement.ip, placement.ipv6).empty());
        CHECK_THAT(neighbours(), !Catch::Contains("PERMANENT"));
        CHECK_THAT(ip({"-6", "route", "show", "dev", "br-test"}), !Catch::Contains("2001:db8::202"));
    }
    CHECK(network.unplace(vm, "br-gone", placement.ip, placement.ipv6).empty());
    CHECK(network.unplace(vm, "br-test", std::nullopt, std::nullopt).empty());
}

TEST_CASE("what cannot be set is said in one sentence each") {
    Namespace own;
    if (!own.entered) return;
    Host host;
    host::KernelNetwork network{host.paths, pool};
    auto failures = network.place(vm, placement);
    REQUIRE(failures.size() == 3);
    CHECK_THAT(failures[0], Catch::Contains("the route to 2001:db8::202 on br-test could not be set") &&
                                Catch::Contains("Cannot find device"));
    CHECK_THAT(failures[1], Catch::Contains("neighbour entry of 10.9.8.5"));
    CHECK_THAT(failures[2], Catch::Contains("neighbour entry of 2001:db8::202"));
}

/// What an agent that answers `replies`, one after another, is asked by a process that is not root.
struct Asked {
    std::vector<boost::json::value> requests;
    std::vector<std::string> failures;
};
Asked ask_without_root(const std::vector<std::string>& replies, bool removes) {
    Asked asked;
    {
        root_agent_double::Agent agent(
            [&](int fd) {
                asked.requests.push_back(boost::json::parse(root_agent_double::receive_request(fd)));
                root_agent_double::send_bytes(fd,
                                              root_agent_double::frame(replies[asked.requests.size() - 1]));
            },
            static_cast<int>(replies.size()));
        agent.open_to_all();
        Host host;
        host.paths.run = agent.socket.parent_path();
        host::KernelNetwork network{host.paths, pool};
        REQUIRE(seteuid(65534) == 0);
        asked.failures = removes ? network.unplace(vm, "br-test", placement.ip, placement.ipv6)
                                 : network.place(vm, placement);
        REQUIRE(seteuid(0) == 0);
    }
    return asked;
}

bool may_change_user() {
    if (geteuid() == 0) return true;
    WARN("skipped: changing the user needs root");
    return false;
}

TEST_CASE("without root all of it goes through our own step of the root agent's") {
    if (!may_change_user()) return;
    bool removes = GENERATE(false, true);
    auto asked = ask_without_root({R"({"ok": true, "problems": ["the bridge is tired"]})"}, removes);
    const auto& request = asked.requests.at(0);
    CHECK(request.at("action").as_string() == "vm-step");
    CHECK(request.at("params").at("name").as_string() == "web-1");
    CHECK(request.at("params").at("step").as_string() == (removes ? "unplace" : "place"));
    CHECK(request.at("params").at("with").at("ip").as_string() == placement.ip->str());
    CHECK(request.at("params").at("with").at("ipv6").as_string() == placement.ipv6->str());
    CHECK(request.at("params").at("with").at("bridge").as_string() == "br-test");
    if (!removes) CHECK(request.at("params").at("with").at("mac").as_string() == placement.mac.str());
    CHECK(asked.failures == std::vector<std::string>{"the bridge is tired"});
}

TEST_CASE("what our own step refuses is said in one sentence, and nothing else is tried") {
    if (!may_change_user()) return;
    auto asked = ask_without_root(
        {R"({"ok": false, "error": "not your address", "hint": "ask", "code": "invalid"})"}, false);
    REQUIRE(asked.failures.size() == 1);
    CHECK_THAT(asked.failures.front(), Catch::Contains("of web-1 could not be set: not your address; ask"));
}

TEST_CASE("an agent without our step sets the route, and the neighbour entries are said to need root") {
    if (!may_change_user()) return;
    bool removes = GENERATE(false, true);
    std::string reply =
        GENERATE(R"({"ok": true})", R"({"ok": false, "error": "RTNETLINK answers: No such process"})");
    auto asked = ask_without_root({R"({"ok": false, "error": "Unknown action: vm-step"})", reply}, removes);
    const auto& request = asked.requests.at(1);
    CHECK(request.at("action").as_string() == (removes ? "ip6-route-del" : "ip6-route-add"));
    CHECK(request.at("params").at("address").as_string() == "2001:db8::202/128");
    CHECK(request.at("params").at("dev").as_string() == "br-test");
    bool refused = reply.find("false") != reply.npos;
    // There are no neighbour entries to remove, and a route that is gone has been removed.
    REQUIRE(asked.failures.size() == (removes ? 0u : refused ? 3u : 2u));
    if (!removes)
        CHECK_THAT(asked.failures.back(),
                   Catch::Contains("neighbour entry of 2001:db8::202") && Catch::Contains("needs root"));
}

TEST_CASE("a bridge name that no interface can have goes nowhere near a program") {
    Host host;
    host::KernelNetwork network{host.paths, pool};
    auto bad = placement;
    bad.bridge = GENERATE("", "-4", "a/b", "..", "br 0", "sixteen-letters-", "br0\n", "br0;id");
    CHECK(network.place(vm, bad).size() == 1);
    CHECK(network.unplace(vm, bad.bridge, bad.ip, bad.ipv6).size() == 1);
    CHECK_FALSE(network.is_bridge(bad.bridge));
}

TEST_CASE("the host's addresses are found, and an interface's first global one") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    ip({"link", "add", "v0", "type", "veth", "peer", "name", "v1"});
    Host host;
    host::KernelNetwork network{host.paths, pool};
    CHECK(network.address_of("br-test") == Ipv4::try_parse("10.9.8.1"));
    CHECK(network.address_of("lo") == std::nullopt);
    CHECK(network.address_of("v0") == std::nullopt);
    auto addresses = network.own_addresses();
    for (const char* address : {"127.0.0.1", "169.254.7.7", "10.9.8.1"})
        CHECK(std::find(addresses.begin(), addresses.end(), *Ipv4::try_parse(address)) != addresses.end());
}

/// Runs `script`; whether that went well.
bool sh(std::string script) {
    return run({.program = "/usr/bin/sh", .arguments = {"-c", script}, .environment = {}, .input = {}}).ok();
}

/// Calls `work` on a thread of its own in an empty network namespace, whose interfaces /sys shows: it shows
/// those of the namespace that it was mounted in. Threads of that thread's are there too. All ends with the
/// thread. False, and `work` is not called, where that needs root.
bool in_namespace_with_sys(const std::function<void()>& work) {
    bool entered = false;
    std::thread([&] {
        entered = unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
                  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                  mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0;
        if (entered) work();
    }).join();
    if (!entered) WARN("skipped: namespaces, a bridge and taps need root");
    return entered;
}

TEST_CASE("all but pause frames of a running VM's port go by the filters, and other ports stay as they are") {
    const bool by_place = GENERATE(false, true);
    Host host;
    host::KernelNetwork network{host.paths, pool};
    bool made = false;
    std::vector<std::string> problems_off, problems;
    std::optional<std::string> mask, uplinks_mask;
    const bool entered = in_namespace_with_sys([&] {
        made = sh(
            "ip link add br-test type bridge; ip link set br-test up; ip addr add 10.9.8.1/24 dev br-test");
        problems_off = network.guard_port(vm, placement);
        made = made && sh("set -e; for port in vnet1/fe:54:00:12:34:56 uplink/52:54:00:12:34:56; do\n"
                          "ip tuntap add dev ${port%/*} mode tap\n"
                          "ip link set ${port%/*} address ${port#*/} master br-test; done");
        problems = by_place ? network.place(vm, placement) : network.guard_port(vm, placement);
        mask = files::read("/sys/class/net/vnet1/brport/group_fwd_mask");
        uplinks_mask = files::read("/sys/class/net/uplink/brport/group_fwd_mask");
    });
    if (!entered) return;
    REQUIRE(made);
    REQUIRE(problems_off.size() == 1);
    CHECK_THAT(problems_off[0], Catch::Contains("the port of web-1 on br-test could not be guarded"));
    CHECK(problems.empty());
    CHECK(mask == "0xfffd\n");
    CHECK(uplinks_mask == "0x0\n");
}

TEST_CASE("VMs that are placed at the same time on a bridge whose address changes keep their entries") {
    constexpr int rounds = 10, vms = 4;
    Host host;
    bool made = true;
    std::vector<std::string> said(vms), lost;
    const bool entered = in_namespace_with_sys([&] {
        for (int round = 0; round < rounds; ++round) {
            made = made && sh("ip link add br-test type bridge; ip link set br-test up;"
                              "ip addr add 10.9.8.1/24 dev br-test; ip link set lo up");
            std::vector<std::thread> creates;
            for (int i = 0; i < vms; ++i)
                creates.emplace_back([&, i] {
                    const std::string number = std::to_string(vms + 1 - i), tap = "vnet" + number;
                    // Each port is the lowest so far: the bridge takes its address.
                    if (!sh("ip tuntap add dev " + tap + " mode tap && ip link set " + tap +
                            " address fe:54:00:00:00:0" + number + " master br-test"))
                        said[i] = tap + " could not be made";
                    host::KernelNetwork network{host.paths, pool};
                    auto mine = placement;
                    mine.mac = *Mac::try_parse("52:54:00:00:00:0" + number);
                    mine.ip = *Ipv4::try_parse("10.9.8." + number);
                    mine.ipv6.reset();
                    for (const auto& problem : network.place(VmName("web-" + number), mine))
                        said[i] += problem + "\n";
                });
            for (auto& create : creates) create.join();
            const auto entries = neighbours();
            for (int i = 2; i <= vms + 1; ++i)
                if (entries.find("10.9.8." + std::to_string(i) + " lladdr") == std::string::npos)
                    lost.push_back(std::to_string(i) + " in round " + std::to_string(round));
            made = made &&
                   sh("ip link del br-test; for tap in vnet2 vnet3 vnet4 vnet5; do ip link del $tap; done");
        }
    });
    if (!entered) return;
    REQUIRE(made);
    CHECK(said == std::vector<std::string>(vms));
    CHECK(lost == std::vector<std::string>());
}

TEST_CASE("a bridge is told from other interfaces") {
    Host host;
    host::KernelNetwork network{host.paths, pool};
    bool made = false, bridge = false, veth = true;
    const bool entered = in_namespace_with_sys([&] {
        made = sh("ip link add br-test type bridge && ip link add v0 type veth peer name v1");
        bridge = network.is_bridge("br-test");
        veth = network.is_bridge("v0");
    });
    CHECK_FALSE(network.is_bridge("br-test"));
    CHECK_FALSE(network.is_bridge("lo"));
    if (!entered) return;
    REQUIRE(made);
    CHECK(bridge);
    CHECK_FALSE(veth);
}

TEST_CASE("the simulated network keeps its entries as files") {
    Host host;
    const fs::path world = host.paths.world;
    host::SimulatedNetwork network(host.paths, pool);
    CHECK(network.unplace(vm, "br0", placement.ip, placement.ipv6).empty());
    for (int time = 0; time < 2; ++time) CHECK(network.place(vm, placement).empty());
    CHECK(files::read(world / "network/route-2001:db8::202") == "br-test\n");
    CHECK(files::read(world / "network/neighbour-10.9.8.5") == "br-test 52:54:00:12:34:56\n");
    CHECK(files::read(world / "network/neighbour-2001:db8::202") == "br-test 52:54:00:12:34:56\n");
    for (int time = 0; time < 2; ++time)
        CHECK(network.unplace(vm, "br-test", placement.ip, placement.ipv6).empty());
    CHECK(fs::is_empty(world / "network"));
}

TEST_CASE("an entry is kept, and that is an error, while the configuration cannot tell whose it is") {
    Host host;
    host::SimulatedNetwork network(host.paths, pool);
    REQUIRE(network.place(vm, placement).empty());
    const auto entry = host.paths.world / "network/neighbour-2001:db8::202";
    std::ofstream(host.paths.broker_allocation()) << R"({"prefix": "2001:)";
    CHECK_THROWS_WITH(network.unplace(vm, "br-test", placement.ip, placement.ipv6),
                      Catch::Contains("broker-allocation.json"));
    CHECK(fs::exists(entry));
    CHECK(network.place(vm, placement).size() == 1); // no reason to keep a VM off
    std::ofstream(host.paths.broker_allocation()) << R"({"prefix": "2001:db8::200/120"})";
    CHECK(network.unplace(vm, "br-test", placement.ip, placement.ipv6).empty());
    CHECK_FALSE(fs::exists(entry));
}

TEST_CASE("addresses outside of pool and prefix, the host's own and a gateway's are none for VMs") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    Host host;
    host::KernelNetwork network{host.paths, pool};
    CHECK(network.unfit(*placement.ip) == std::nullopt);
    CHECK(network.unfit(*placement.ipv6) == std::nullopt);
    for (const char* address : {"10.9.8.1", "10.9.8.0", "10.9.8.9", "10.9.8.10", "10.9.8.255", "192.0.2.1"})
        CHECK_THAT(network.unfit(*Ipv4::try_parse(address)).value_or("fit"),
                   Catch::Contains(std::string(address) + " is not an address for VMs"));
    for (const char* address : {"2001:db8::200", "2001:db8::201", "2001:db8::300", "fe80::1", "ff02::1"})
        CHECK_THAT(network.unfit(*Ipv6::try_parse(address)).value_or("fit"),
                   Catch::Contains(std::string(address) + " is not an address for VMs"));
    CHECK(host::KernelNetwork(host.paths, std::nullopt).unfit(*placement.ip));
    fs::remove(host.paths.broker_allocation());
    CHECK(network.unfit(*placement.ipv6));
}

TEST_CASE("what is none for VMs is neither set nor removed, and does not keep the other address from it") {
    Namespace own;
    if (!own.entered) return;
    make_bridge();
    Host host;
    host::KernelNetwork network{host.paths, pool};
    const auto lan = *Ipv4::try_parse("10.9.8.200");
    ip({"neigh", "replace", lan.str(), "lladdr", "02:00:00:00:00:01", "dev", "br-test", "nud", "permanent"});
    auto wanted = placement;
    wanted.ip = lan;
    auto problems = network.place(vm, wanted);
    REQUIRE(problems.size() == 1);
    CHECK_THAT(problems[0], Catch::Contains("10.9.8.200 is not an address for VMs (ip_pool in db.yaml)"));
    CHECK_THAT(neighbours(), Catch::Contains("10.9.8.200 lladdr 02:00:00:00:00:01 PERMANENT") &&
                                 Catch::Contains("2001:db8::202 lladdr 52:54:00:12:34:56 PERMANENT"));
    problems = network.unplace(vm, "br-test", lan, placement.ipv6);
    REQUIRE(problems.size() == 1);
    CHECK_THAT(problems[0], Catch::Contains("its neighbour entry on br-test is kept"));
    CHECK_THAT(neighbours(), Catch::Contains("10.9.8.200 lladdr 02:00:00:00:00:01 PERMANENT") &&
                                 !Catch::Contains("2001:db8::202"));
    CHECK(network.unplace(vm, "br-test", Ipv4::try_parse("10.9.8.201"), std::nullopt).empty());
}
