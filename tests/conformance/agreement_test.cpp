// SPDX-License-Identifier: MIT
// What libvirt's protocol tells us is what its library does, field by field.

#include "stage.hpp"

#include "hypervisor/open.hpp"
#include "model/names.hpp"

#include <algorithm>

using namespace blockhost;
using namespace conformance;
using namespace std::chrono_literals;

namespace {

constexpr const char* device = "<interface type='bridge'><source bridge='%'/></interface>";

std::string device_on(const std::string& bridge) {
    std::string xml = device;
    return xml.replace(xml.find('%'), 1, bridge);
}

void check_same_domain(Observer& one, Observer& other, const std::string& name) {
    CHECK(one.state(name) == other.state(name));
    const auto view = one.find(name), same = other.find(name);
    REQUIRE(view.has_value() == same.has_value());
    CHECK(one.other_definitions(name) == other.other_definitions(name));
    if (!view) return;
    CHECK(view->name == same->name);
    CHECK(view->uuid == same->uuid);
    CHECK(view->state == same->state);
    CHECK(view->reason == same->reason);
    CHECK(view->xml == same->xml);
    CHECK(view->persistent == same->persistent);
}

void check_grew(std::uint64_t before, std::uint64_t between, std::uint64_t after) {
    CHECK(before <= between);
    CHECK(between <= after);
}

/// `one` was read after `before` and before `after`, so what grows meanwhile lies between theirs.
void check_same_figures(const DomainStats& before, const DomainStats& one, const DomainStats& after) {
    CHECK(one.name == after.name);
    CHECK(one.uuid == after.uuid);
    CHECK(one.id == after.id);
    CHECK(one.state == after.state);
    CHECK(one.running_s.has_value() == after.running_s.has_value());
    check_grew(before.cpu_time_ns, one.cpu_time_ns, after.cpu_time_ns);
    CHECK(one.cpus == after.cpus);
    CHECK(one.memory_max_kib == after.memory_max_kib);
    CHECK(one.memory_available_kib.has_value() == after.memory_available_kib.has_value());
    CHECK(one.rss_kib.has_value() == after.rss_kib.has_value());
    CHECK(one.disk_capacity_bytes == after.disk_capacity_bytes);
    check_grew(before.read_requests, one.read_requests, after.read_requests);
    CHECK(one.complete == after.complete);
}

/// Of one of `names`, sorted.
template<class Item>
std::vector<Item> ours(std::vector<Item> all, const std::vector<std::string>& names) {
    std::erase_if(all, [&](const Item& item) {
        return std::find(names.begin(), names.end(), item.name) == names.end();
    });
    std::sort(all.begin(), all.end(), [](const Item& a, const Item& b) { return a.name < b.name; });
    return all;
}

/// The words of the Error that `call` throws.
template<class Call>
std::string words_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return std::string(row_of(error.code()).name) + ": " + error.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("the protocol and the library tell the same") {
    if (driver() != Driver::qemu) return skip("there is one way to ask alone");
    Stage stage;
    const auto library = open_libvirt("qemu:///system", Access::write);
    auto& asked = stage.hypervisor();
    const auto off = stage.name("off"), runs = stage.name("runs"), passing = stage.name("passing"),
               nobody = stage.name("nobody");
    stage.define(stage.tiny_domain(off, Uuid::random().str()));
    stage.define(stage.tiny_domain(runs, Uuid::random().str(), device_on(stage.bridge())));
    asked.start(runs);
    asked.start_transient(stage.passing_domain(passing));
    const std::vector<std::string> names{off, runs, passing, nobody};
    for (const std::string& name : names) check_same_domain(asked, *library, name);

    const auto states = ours(asked.states(), names), same_states = ours(library->states(), names);
    REQUIRE(states.size() == 3);
    REQUIRE(same_states.size() == 3);
    for (std::size_t i = 0; i < states.size(); ++i) CHECK(states[i].state == same_states[i].state);

    const auto uses = ours(asked.uses(), names), same_uses = ours(library->uses(), names);
    REQUIRE(uses.size() == same_uses.size());
    for (std::size_t i = 0; i < uses.size(); ++i) {
        CHECK(uses[i].memory_mib == same_uses[i].memory_mib);
        CHECK(uses[i].metadata == same_uses[i].metadata);
    }

    for (const auto& wanted : {names, std::vector<std::string>{}, std::vector<std::string>{runs}}) {
        const auto before = ours(library->stats(wanted, 10s), names);
        const auto stats = ours(asked.stats(wanted, 10s), names);
        const auto after = ours(library->stats(wanted, 10s), names);
        REQUIRE(stats.size() == before.size());
        REQUIRE(stats.size() == after.size());
        for (std::size_t i = 0; i < stats.size(); ++i) check_same_figures(before[i], stats[i], after[i]);
    }

    CHECK(asked.host().memory_mib == library->host().memory_mib);
    CHECK(asked.host().cpus == library->host().cpus);
    for (const std::string& name : names)
        CHECK(words_of([&] { asked.agent(name, "{}", 1); }) ==
              words_of([&] { library->agent(name, "{}", 1); }));
}
