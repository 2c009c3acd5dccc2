// SPDX-License-Identifier: MIT
// Figures of domains in one call, the same behind every driver.

#include "stage.hpp"

#include "hypervisor/simulated/image.hpp"
#include "model/names.hpp"

#include <algorithm>
#include <thread>

using namespace blockhost;
using namespace conformance;
using namespace std::chrono_literals;

namespace {

std::string defined(Stage& stage, const std::string& what) {
    auto name = stage.name(what);
    stage.define(stage.tiny_domain(name, Uuid::random().str()));
    return name;
}

const DomainStats* find(const std::vector<DomainStats>& all, const std::string& name) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const DomainStats& each) { return each.name == name; });
    return found == all.end() ? nullptr : &*found;
}

} // namespace

TEST_CASE("figures of names that nobody has are none, and no error") {
    Stage stage;
    CHECK(stage.hypervisor().stats({stage.name("nobody")}, 5s).empty());
}

TEST_CASE("figures of the domains named are those, however many, and no others") {
    Stage stage;
    std::vector<std::string> names;
    for (const char* what : {"a", "b", "c", "d", "e", "f"}) names.push_back(defined(stage, what));
    const auto unnamed = defined(stage, "unnamed");
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, names.size()}) {
        auto asked = std::vector<std::string>(names.begin(), names.begin() + static_cast<long>(count));
        asked.push_back(stage.name("nobody"));
        const auto all = stage.hypervisor().stats(asked, 5s);
        CHECK(all.size() == count);
        for (std::size_t i = 0; i < count; ++i) CHECK(find(all, names[i]));
        CHECK_FALSE(find(all, unnamed));
    }
    const auto every = stage.hypervisor().stats({}, 20s);
    CHECK(find(every, unnamed));
    CHECK(find(every, names.back()));
}

TEST_CASE("whoever says that the states come next may ask something else first, or them twice") {
    Stage stage;
    const auto name = defined(stage, "hinted");
    auto& asked = stage.hypervisor();
    const auto is_told = [&] {
        const auto all = asked.states();
        return std::any_of(all.begin(), all.end(), [&](const DomainState& each) {
            return each.name == name && each.state == PowerState::off;
        });
    };
    asked.expect_states();
    CHECK(is_told());
    CHECK(is_told());
    asked.expect_states();
    CHECK(asked.state(name) == PowerState::off);
    CHECK(is_told());
    asked.expect_states();
    asked.expect_states();
    CHECK(is_told());
}

TEST_CASE("a domain that is off has its state and its uuid, and no run") {
    Stage stage;
    const auto name = stage.name("off");
    const auto uuid = Uuid::random().str();
    stage.define(stage.tiny_domain(name, uuid));
    const auto all = stage.hypervisor().stats({name}, 5s);
    REQUIRE(all.size() == 1);
    CHECK(all[0].state == PowerState::off);
    CHECK(all[0].uuid == uuid);
    CHECK(all[0].id == -1);
    CHECK_FALSE(all[0].running_s);
    CHECK(all[0].complete);
}

TEST_CASE("a running domain has a run of its own, which the next start does not share") {
    Stage stage;
    const auto name = defined(stage, "runs");
    stage.hypervisor().start(name);
    const auto first = stage.hypervisor().stats({name}, 5s);
    REQUIRE(first.size() == 1);
    CHECK(first[0].state == PowerState::running);
    CHECK(first[0].complete);
    CHECK(first[0].id >= 0);
    stage.hypervisor().power_off(name);
    std::this_thread::sleep_for(2ms);
    stage.hypervisor().start(name);
    CHECK(stage.hypervisor().stats({name}, 5s).at(0).id != first[0].id);
}

TEST_CASE("a running domain's CPU time grows, its memory and processors are its definition's") {
    Stage stage;
    if (driver() == Driver::test) return skip("the test driver tells states only");
    const auto name = defined(stage, "grows");
    stage.hypervisor().start(name);
    const auto first = stage.hypervisor().stats({name}, 5s).at(0);
    CHECK(first.cpus == 1);
    CHECK(first.memory_max_kib == 32 * 1024);
    CHECK(first.rss_kib.value_or(0) > 0);
    REQUIRE(first.running_s);
    CHECK(*first.running_s >= 0);
    CHECK(*first.running_s < 60);
    for (auto deadline = Deadline::in(20s); !deadline.passed(); std::this_thread::sleep_for(50ms))
        if (stage.hypervisor().stats({name}, 5s).at(0).cpu_time_ns > first.cpu_time_ns) return;
    FAIL("20 s went by without CPU time");
}

TEST_CASE("the disks of a domain are counted, and the first one's size is told") {
    Stage stage;
    if (driver() != Driver::qemu) return skip("only QEMU has disks that are read");
    const auto name = stage.name("disk");
    const auto pool = stage.pool("disks");
    const auto base = stage.folder() / "base.qcow2";
    simulated::make_qcow2(base, 1 << 20, "");
    std::filesystem::permissions(base, std::filesystem::perms::all, std::filesystem::perm_options::add);
    const auto volume = stage.hypervisor().create_volume(pool, {"d.qcow2", 8388608, base.string()});
    stage.define(
        stage.tiny_domain(name, Uuid::random().str(),
                          "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" +
                              volume.path + "'/><target dev='vda' bus='virtio'/></disk>"));
    stage.hypervisor().start(name);
    CHECK(stage.hypervisor().stats({name}, 5s).at(0).disk_capacity_bytes == 8388608);
    for (auto deadline = Deadline::in(20s); !deadline.passed(); std::this_thread::sleep_for(50ms)) {
        const auto stats = stage.hypervisor().stats({name}, 5s).at(0); // the firmware looks for a boot sector
        if (stats.read_requests > 0 && stats.read_bytes > 0) return;
    }
    FAIL("20 s went by without a read");
}
