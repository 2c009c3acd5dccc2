// SPDX-License-Identifier: MIT
// Limits of a domain, the same behind every driver.

#include "stage.hpp"

#include "hypervisor/simulated/image.hpp"

#include <filesystem>

using namespace blockhost;
using namespace conformance;

namespace {

constexpr const char* no_iops = "the test driver takes no limit without a limit of bursts";

/// A defined domain with a disk and an interface, off.
std::string limited(Stage& stage, const std::string& what) {
    namespace fs = std::filesystem;
    auto disk = stage.folder() / (what + ".qcow2");
    simulated::make_qcow2(disk, 1 << 20, "");
    fs::permissions(disk, fs::perms::all, fs::perm_options::add);
    const std::string source = driver() == Driver::test
                                   ? "<interface type='network'><source network='default'/>"
                                   : "<interface type='bridge'><source bridge='" + stage.bridge() + "'/>";
    auto name = stage.name(what);
    stage.define(
        stage.tiny_domain(name, Uuid::random().str(),
                          "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" +
                              disk.string() + "'/><target dev='vda' bus='virtio'/></disk>" + source +
                              "<mac address='52:54:00:b1:0c:01'/><model type='virtio'/></interface>"));
    return name;
}

Tuning cpu(std::uint64_t shares, std::int64_t quota) {
    Tuning wanted;
    wanted.cpu_shares = shares;
    wanted.cpu_period = 100000;
    wanted.cpu_quota = quota;
    return wanted;
}

Tuning iops(std::uint64_t read, std::uint64_t write) {
    Tuning wanted;
    wanted.iops = Tuning::Iops{read, write};
    return wanted;
}

} // namespace

TEST_CASE("a domain that nobody limited shows no limits") {
    Stage stage;
    auto name = limited(stage, "free");
    stage.hypervisor().start(name);
    auto running = stage.hypervisor().tuning(name, TuningOf::running);
    CHECK(running.iops == Tuning::Iops{0, 0});
    CHECK(running.inbound == Tuning::Bandwidth{});
    CHECK(running.outbound == Tuning::Bandwidth{});
    if (driver() == Driver::test) return skip("the test driver's scheduler has only a weight");
    REQUIRE(running.cpu_quota);
    CHECK(*running.cpu_quota < 1);
    CHECK(running.cpu_shares > 0u);
    auto defined = stage.hypervisor().tuning(name, TuningOf::definition);
    CHECK(defined.cpu_shares == 0u);
    CHECK(defined.cpu_quota < 1);
    CHECK(defined.iops == Tuning::Iops{0, 0});
    CHECK(defined.inbound == Tuning::Bandwidth{});
}

TEST_CASE("CPU limits are set while it runs, read back, taken away, and gone after a restart") {
    if (driver() == Driver::test) return skip("the test driver's scheduler has only a weight");
    Stage stage;
    auto name = limited(stage, "cpu");
    auto& hypervisor = stage.hypervisor();
    hypervisor.start(name);
    const auto before = hypervisor.tuning(name, TuningOf::running);
    hypervisor.tune(name, Subsystem::cpu, cpu(512, 50000), TuningOf::running);
    auto set = hypervisor.tuning(name, TuningOf::running);
    CHECK(set.cpu_shares == 512u);
    CHECK(set.cpu_quota == 50000);
    CHECK(set.cpu_period == 100000u);
    Tuning quota;
    quota.cpu_quota = -1;
    hypervisor.tune(name, Subsystem::cpu, quota, TuningOf::running);
    set = hypervisor.tuning(name, TuningOf::running);
    CHECK(set.cpu_quota == -1);
    CHECK(set.cpu_shares == 512u);
    CHECK(hypervisor.tuning(name, TuningOf::definition).cpu_shares == 0u);
    hypervisor.power_off(name);
    hypervisor.start(name);
    CHECK(hypervisor.tuning(name, TuningOf::running).cpu_shares == before.cpu_shares);
}

TEST_CASE("limits in the definition are read back, and run with from the next start on") {
    Stage stage;
    auto name = limited(stage, "kept");
    auto& hypervisor = stage.hypervisor();
    if (driver() == Driver::test) return skip(no_iops);
    hypervisor.tune(name, Subsystem::disk, iops(100, 200), TuningOf::definition);
    CHECK(hypervisor.tuning(name, TuningOf::definition).iops == Tuning::Iops{100, 200});
    hypervisor.tune(name, Subsystem::cpu, cpu(256, 20000), TuningOf::definition);
    auto set = hypervisor.tuning(name, TuningOf::definition);
    CHECK(set.cpu_shares == 256u);
    CHECK(set.cpu_quota == 20000);
    hypervisor.start(name);
    CHECK(hypervisor.tuning(name, TuningOf::running).iops == Tuning::Iops{100, 200});
    CHECK(hypervisor.tuning(name, TuningOf::running).cpu_quota == 20000);
}

TEST_CASE("disk limits are set while it runs, and taken away") {
    if (driver() == Driver::test) return skip(no_iops);
    Stage stage;
    auto name = limited(stage, "disk");
    auto& hypervisor = stage.hypervisor();
    hypervisor.start(name);
    hypervisor.tune(name, Subsystem::disk, iops(100, 0), TuningOf::running);
    CHECK(hypervisor.tuning(name, TuningOf::running).iops == Tuning::Iops{100, 0});
    hypervisor.tune(name, Subsystem::disk, iops(100, 50), TuningOf::running);
    CHECK(hypervisor.tuning(name, TuningOf::running).iops == Tuning::Iops{100, 50});
    hypervisor.tune(name, Subsystem::disk, iops(0, 0), TuningOf::running);
    CHECK(hypervisor.tuning(name, TuningOf::running).iops == Tuning::Iops{0, 0});
    CHECK(hypervisor.tuning(name, TuningOf::definition).iops == Tuning::Iops{0, 0});
}

TEST_CASE("network limits in the definition are set one by one and taken away one by one") {
    Stage stage;
    auto name = limited(stage, "net");
    auto& hypervisor = stage.hypervisor();
    Tuning in, out;
    in.inbound = Tuning::Bandwidth{125, 125, 64};
    out.outbound = Tuning::Bandwidth{250, 250, 64};
    hypervisor.tune(name, Subsystem::network, in, TuningOf::definition);
    hypervisor.tune(name, Subsystem::network, out, TuningOf::definition);
    CHECK(hypervisor.tuning(name, TuningOf::definition).inbound == in.inbound);
    CHECK(hypervisor.tuning(name, TuningOf::definition).outbound == out.outbound);
    in.inbound = Tuning::Bandwidth{};
    hypervisor.tune(name, Subsystem::network, in, TuningOf::definition);
    CHECK(hypervisor.tuning(name, TuningOf::definition).inbound == Tuning::Bandwidth{});
    CHECK(hypervisor.tuning(name, TuningOf::definition).outbound == out.outbound);
}

TEST_CASE("network limits of a running domain are set, or refused and not shown as set") {
    Stage stage;
    auto name = limited(stage, "tap");
    auto& hypervisor = stage.hypervisor();
    hypervisor.start(name);
    Tuning wanted;
    wanted.inbound = wanted.outbound = Tuning::Bandwidth{125, 125, 64};
    try {
        hypervisor.tune(name, Subsystem::network, wanted, TuningOf::running);
    } catch (const Error& error) {
        if (driver() == Driver::simulated) throw;
        CHECK(hypervisor.tuning(name, TuningOf::running).inbound == Tuning::Bandwidth{});
        return skip(error.message());
    }
    CHECK(hypervisor.tuning(name, TuningOf::running).inbound == wanted.inbound);
    CHECK(hypervisor.tuning(name, TuningOf::running).outbound == wanted.outbound);
    wanted.inbound = wanted.outbound = Tuning::Bandwidth{};
    hypervisor.tune(name, Subsystem::network, wanted, TuningOf::running);
    CHECK(hypervisor.tuning(name, TuningOf::running).inbound == Tuning::Bandwidth{});
}

TEST_CASE("limits of what is off, absent or without the device are refused by their kind") {
    Stage stage;
    auto off = limited(stage, "off"), bare = stage.name("bare");
    auto& hypervisor = stage.hypervisor();
    stage.define(stage.tiny_domain(bare, Uuid::random().str()));
    CHECK(code_of([&] { hypervisor.tuning(off, TuningOf::running); }) == Code::wrong_state);
    CHECK(code_of([&] { hypervisor.tune(off, Subsystem::disk, iops(1, 1), TuningOf::running); }) ==
          Code::wrong_state);
    CHECK(code_of([&] { hypervisor.tuning(stage.name("nobody"), TuningOf::definition); }) == Code::not_found);
    CHECK(code_of([&] { hypervisor.tune(bare, Subsystem::disk, iops(1, 1), TuningOf::definition); }) ==
          Code::wrong_state);
    CHECK_FALSE(hypervisor.tuning(bare, TuningOf::definition).iops);
    CHECK_FALSE(hypervisor.tuning(bare, TuningOf::definition).inbound);
}
