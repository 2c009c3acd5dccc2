// SPDX-License-Identifier: MIT
// The life of a domain, the same behind every driver.

#include "stage.hpp"

#include "hypervisor/xml/domain.hpp"
#include "model/names.hpp"

#include <algorithm>
#include <thread>

using namespace blockhost;
using namespace conformance;
using namespace std::chrono_literals;

namespace {

constexpr const char* agent_channel =
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>"
    "</channel>";

/// A defined domain.
std::string defined(Stage& stage, const std::string& what, const std::string& devices = "") {
    auto name = stage.name(what);
    stage.define(stage.tiny_domain(name, Uuid::random().str(), devices));
    return name;
}

/// Events until `wished` is the state, or 20 s.
bool sees(Hypervisor& hypervisor, const std::string& name, PowerState wished) {
    for (auto deadline = Deadline::in(20s); !deadline.passed();)
        if (hypervisor.wait(deadline.left()) == Wake::lifecycle && hypervisor.state(name) == wished)
            return true;
    return false;
}

} // namespace

TEST_CASE("a domain that was never defined is absent, to every look") {
    Stage stage;
    auto name = stage.name("nobody");
    CHECK_FALSE(stage.hypervisor().state(name));
    CHECK_FALSE(stage.hypervisor().find(name));
}

TEST_CASE("a defined domain is off, persistent, and shows its own definition") {
    Stage stage;
    auto name = stage.name("fresh");
    auto uuid = Uuid::random().str();
    stage.define(stage.tiny_domain(name, uuid));
    CHECK(stage.hypervisor().state(name) == PowerState::off);
    auto view = stage.hypervisor().find(name);
    REQUIRE(view);
    CHECK(view->name == name);
    CHECK(view->uuid == uuid);
    CHECK(view->persistent);
    CHECK(view->state == PowerState::off);
    CHECK(view->xml.find("<name>" + name + "</name>") != std::string::npos);
}

TEST_CASE("the bulk look shows every domain with its state") {
    Stage stage;
    auto off = defined(stage, "off"), running = defined(stage, "on");
    stage.hypervisor().start(running);
    int seen = 0;
    for (const auto& domain : stage.hypervisor().states()) {
        if (domain.name == off) seen += domain.state == PowerState::off ? 1 : 100;
        if (domain.name == running) seen += domain.state == PowerState::running ? 10 : 100;
    }
    CHECK(seen == 11);
}

TEST_CASE("our mark can be written into a domain, running or off, written anew and taken out") {
    Stage stage;
    const auto name = defined(stage, "marked");
    const auto write = [&](const std::string& instance) {
        const DomainMark mark{.instance = instance,
                              .operation = "1",
                              .state_folder = "/s",
                              .name = name,
                              .uuid = "u",
                              .ip = {},
                              .ipv6 = {},
                              .wallet = "0xab",
                              .username = "admin",
                              .network_mode = "none",
                              .expires_at = "",
                              .created_at = ""};
        stage.hypervisor().set_metadata(name, instance.empty() ? std::nullopt : std::optional(mark));
        const auto read = read_mark(stage.hypervisor().find(name)->xml);
        return read ? read->instance + " " + read->wallet : "none";
    };
    CHECK(write("one") == "one 0xab");
    stage.hypervisor().start(name);
    CHECK(write("two") == "two 0xab");
    CHECK(write("") == "none");
}

TEST_CASE("a name or a uuid that is taken cannot be defined again") {
    Stage stage;
    auto name = stage.name("taken"), other = stage.name("other");
    auto uuid = Uuid::random().str();
    stage.define(stage.tiny_domain(name, uuid));
    CHECK(code_of([&] { stage.define(stage.tiny_domain(name, Uuid::random().str())); }) == Code::exists);
    if (driver() == Driver::test) return skip("the test driver defines a second domain with the same uuid");
    CHECK(code_of([&] { stage.define(stage.tiny_domain(other, uuid)); }) == Code::exists);
}

TEST_CASE("defining the same domain again succeeds") {
    Stage stage;
    auto name = stage.name("twice");
    auto xml = stage.tiny_domain(name, Uuid::random().str());
    stage.define(xml);
    stage.define(xml);
    CHECK(stage.hypervisor().state(name) == PowerState::off);
}

TEST_CASE("what is no domain definition is refused as the hypervisor's words") {
    Stage stage;
    CHECK(code_of([&] { stage.define("<domain><name>x"); }) == Code::hypervisor);
}

TEST_CASE("a started domain runs, and starting it again is no error") {
    Stage stage;
    auto name = defined(stage, "runs");
    stage.hypervisor().start(name);
    CHECK(stage.hypervisor().state(name) == PowerState::running);
    stage.hypervisor().start(name);
    CHECK(stage.hypervisor().state(name) == PowerState::running);
    auto view = stage.hypervisor().find(name);
    REQUIRE(view);
    CHECK(view->reason == "booted");
}

TEST_CASE("forcing a domain off leaves it defined, and doing it again is no error") {
    Stage stage;
    auto name = defined(stage, "killed");
    stage.hypervisor().start(name);
    stage.hypervisor().power_off(name);
    CHECK(stage.hypervisor().state(name) == PowerState::off);
    stage.hypervisor().power_off(name);
    CHECK(stage.hypervisor().state(name) == PowerState::off);
    stage.hypervisor().power_off(stage.name("nobody"));
}

TEST_CASE("a running domain can be resumed without effect, one that is off cannot") {
    Stage stage;
    auto name = defined(stage, "resumed");
    CHECK(code_of([&] { stage.hypervisor().unpause(name); }) == Code::wrong_state);
    stage.hypervisor().start(name);
    stage.hypervisor().unpause(name);
    CHECK(stage.hypervisor().state(name) == PowerState::running);
}

TEST_CASE("a shutdown can be asked of a running domain, and of one that is off without effect") {
    Stage stage;
    auto name = defined(stage, "asked");
    stage.hypervisor().shutdown(name);
    stage.hypervisor().start(name);
    stage.hypervisor().shutdown(name);
    CHECK(stage.hypervisor().state(name));
}

TEST_CASE("calls on a domain that does not exist say so") {
    Stage stage;
    auto name = stage.name("nobody");
    CHECK(code_of([&] { stage.hypervisor().start(name); }) == Code::not_found);
    CHECK(code_of([&] { stage.hypervisor().unpause(name); }) == Code::not_found);
    CHECK(code_of([&] { stage.hypervisor().shutdown(name); }) == Code::not_found);
    if (driver() == Driver::test) return skip("the test driver has no guest agent");
    CHECK(code_of([&] { stage.hypervisor().agent(name, R"({"execute":"guest-ping"})", 1); }) ==
          Code::not_found);
}

TEST_CASE("an undefined domain is gone, and undefining it again is no error") {
    Stage stage;
    auto name = defined(stage, "gone");
    stage.hypervisor().undefine(name);
    CHECK_FALSE(stage.hypervisor().find(name));
    stage.hypervisor().undefine(name);
}

TEST_CASE("a domain undefined while it runs is gone once it is off") {
    Stage stage;
    auto name = defined(stage, "transient");
    stage.hypervisor().start(name);
    stage.hypervisor().undefine(name);
    auto view = stage.hypervisor().find(name);
    REQUIRE(view);
    CHECK_FALSE(view->persistent);
    stage.hypervisor().power_off(name);
    CHECK_FALSE(stage.hypervisor().state(name));
}

TEST_CASE("a domain undefined while it runs can be defined again from what it runs with") {
    Stage stage;
    auto name = defined(stage, "again");
    auto& hypervisor = stage.hypervisor();
    const auto is_undefined = [&] {
        const auto names = hypervisor.undefined();
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    hypervisor.start(name);
    const auto before = hypervisor.find(name);
    CHECK_FALSE(is_undefined());
    hypervisor.redefine(name); // nothing to do
    if (driver() == Driver::test)
        return skip("the test driver keeps no domain that is undefined while it runs");
    hypervisor.undefine(name);
    CHECK(is_undefined());
    REQUIRE(hypervisor.find(name));
    CHECK_FALSE(hypervisor.find(name)->persistent);
    hypervisor.redefine(name);
    CHECK_FALSE(is_undefined());
    CHECK(hypervisor.find(name)->persistent);
    CHECK(hypervisor.find(name)->xml == before->xml);
    hypervisor.power_off(name);
    REQUIRE(hypervisor.find(name));
    CHECK(hypervisor.find(name)->uuid == before->uuid);
    CHECK(code_of([&] { hypervisor.redefine(stage.name("nobody")); }) == Code::not_found);
}

TEST_CASE("a state comes with its reason, and nothing keeps the disks of a domain without trouble") {
    Stage stage;
    auto name = defined(stage, "why");
    CHECK_FALSE(stage.hypervisor().power(stage.name("nobody")));
    stage.hypervisor().start(name);
    CHECK(stage.hypervisor().power(name) == Power{PowerState::running, "booted"});
    for (const auto& each : stage.hypervisor().states())
        if (each.name == name) CHECK(each.reason == "booted");
    CHECK(stage.hypervisor().disk_trouble(name, 5s).empty());
    stage.hypervisor().power_off(name);
    CHECK(stage.hypervisor().power(name) == Power{PowerState::off, "destroyed"});
    CHECK(stage.hypervisor().disk_trouble(name, 5s).empty());
}

TEST_CASE("an agent command to a domain that is off fails by its state") {
    if (driver() == Driver::test) return skip("the test driver has no guest agent");
    Stage stage;
    auto name = defined(stage, "quiet", agent_channel);
    CHECK(code_of([&] { stage.hypervisor().agent(name, R"({"execute":"guest-ping"})", 1); }) ==
          Code::wrong_state);
}

TEST_CASE("an agent command to a guest without an agent fails as the guest's") {
    if (driver() == Driver::test) return skip("the test driver has no guest agent");
    Stage stage;
    auto without = defined(stage, "without"), unconnected = defined(stage, "unconnected", agent_channel);
    for (const auto& name : {without, unconnected}) {
        stage.hypervisor().start(name);
        CHECK(code_of([&] { stage.hypervisor().agent(name, R"({"execute":"guest-ping"})", 1); }) ==
              Code::guest);
    }
}

TEST_CASE("whoever watches a domain hears of its start and its end") {
    Stage stage;
    auto name = defined(stage, "watched");
    stage.hypervisor().watch(name);
    stage.hypervisor().start(name);
    CHECK(sees(stage.hypervisor(), name, PowerState::running));
    stage.hypervisor().power_off(name);
    CHECK(sees(stage.hypervisor(), name, PowerState::off));
}

TEST_CASE("what happens between watch and wait is not lost, and other domains' events are not told") {
    Stage stage;
    auto name = defined(stage, "mine"), other = defined(stage, "other");
    stage.hypervisor().watch(name);
    stage.hypervisor().start(other);
    CHECK(stage.hypervisor().wait(300ms) == Wake::timeout);
    stage.hypervisor().start(name);
    stage.hypervisor().power_off(name);
    CHECK(stage.hypervisor().wait(20s) == Wake::lifecycle);
}

TEST_CASE("one connection sees what another changed, and hears of it") {
    if (driver() == Driver::test) return skip("the test driver's state is one connection's");
    Stage stage;
    auto name = defined(stage, "shared");
    auto other = stage.another();
    CHECK(other->state(name) == PowerState::off);
    other->watch(name);
    stage.hypervisor().start(name);
    CHECK(sees(*other, name, PowerState::running));
}

TEST_CASE("the host has memory and processors") {
    Stage stage;
    auto host = stage.hypervisor().host();
    CHECK(host.memory_mib > 0);
    CHECK(host.cpus > 0);
}

TEST_CASE("the uses show every domain's memory, and the mark of those that are marked") {
    Stage stage;
    auto marked = stage.name("marked"), plain = stage.name("plain");
    std::string xml = stage.tiny_domain(marked, Uuid::random().str());
    xml.insert(xml.find("<memory"), std::string("<metadata><bh:vm xmlns:bh='") + metadata_namespace +
                                        "' instance='mine' operation='op'/></metadata>");
    stage.define(xml);
    stage.define(stage.tiny_domain(plain, Uuid::random().str()));
    int seen = 0;
    for (const DomainUse& use : stage.hypervisor().uses()) {
        if (use.name != marked && use.name != plain) continue;
        ++seen;
        CHECK(use.memory_mib == 32);
        const auto mark = claim_of(use).unproven();
        CHECK(mark.has_value() == (use.name == marked));
        if (mark) CHECK((mark->instance == "mine" && mark->operation == "op"));
    }
    CHECK(seen == 2);
}

TEST_CASE("a domain started without a definition runs, and is gone when it stops") {
    if (driver() == Driver::test)
        return skip("the test driver has no domains that end with their connection");
    Stage stage;
    auto name = stage.name("passing");
    auto domain = stage.passing_domain(name);
    stage.hypervisor().start_transient(domain);
    CHECK(stage.hypervisor().state(name) == PowerState::running);
    REQUIRE(stage.hypervisor().find(name));
    CHECK_FALSE(stage.hypervisor().find(name)->persistent);
    domain.uuid = Uuid::random();
    CHECK(code_of([&] { stage.hypervisor().start_transient(domain); }) == Code::exists);
    stage.hypervisor().power_off(name);
    CHECK_FALSE(stage.hypervisor().state(name));
}

TEST_CASE("a domain started without a definition ends with the connection that started it") {
    if (driver() != Driver::qemu) return skip("only QEMU's libvirt ends domains with their connection");
    Stage stage;
    auto name = stage.name("bound");
    {
        auto other = stage.another();
        other->start_transient(stage.passing_domain(name));
        CHECK(stage.hypervisor().state(name) == PowerState::running);
    }
    const auto deadline = Deadline::in(20s);
    while (stage.hypervisor().state(name) && !deadline.passed()) std::this_thread::sleep_for(50ms);
    CHECK_FALSE(stage.hypervisor().state(name));
}

TEST_CASE("what a domain runs with is shown beside what it is defined as by now") {
    if (driver() != Driver::qemu) return skip("only QEMU's libvirt lets the two differ");
    Stage stage;
    auto name = stage.name("changed"), uuid = Uuid::random().str();
    const auto with_memory = [&](const std::string& mebibytes) {
        std::string xml = stage.tiny_domain(name, uuid);
        const auto at = xml.find("<memory"), end = xml.find("</memory>");
        return xml.replace(at, end - at, "<memory unit='MiB'>" + mebibytes);
    };
    stage.define(with_memory("24"));
    CHECK(stage.hypervisor().other_definitions(name).empty());
    stage.hypervisor().start(name);
    stage.define(with_memory("48"));
    const auto others = stage.hypervisor().other_definitions(name);
    REQUIRE(others.size() == 1);
    CHECK(read_domain(others[0]).memory_mib == 24);
    CHECK(read_domain(stage.hypervisor().find(name)->xml).memory_mib == 48);
    CHECK(stage.hypervisor().other_definitions(stage.name("nobody")).empty());
}
