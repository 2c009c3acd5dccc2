// SPDX-License-Identifier: MIT
// Pools, volumes and filters, the same behind every driver; and a whole VM as create makes it.

#include "stage.hpp"

#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/simulated/image.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/interface.hpp"

#include <algorithm>
#include <fstream>

using namespace blockhost;
using namespace conformance;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// A base image that overlays can stand on.
std::string base_image(const Stage& stage) {
    auto path = stage.folder() / "base.qcow2";
    simulated::make_qcow2(path, 64 * mib, "");
    fs::permissions(path, fs::perms::others_read | fs::perms::group_read, fs::perm_options::add);
    return path.string();
}

std::string file_of(const Stage& stage, const std::string& pool, const std::string& volume) {
    return (stage.pool_folder(pool) / volume).string();
}

} // namespace

TEST_CASE("a pool is made once, with its folder, and is then there") {
    Stage stage;
    auto name = stage.pool("disks");
    auto pool = stage.hypervisor().find_pool(name);
    REQUIRE(pool);
    CHECK(pool->active);
    CHECK(pool->path == stage.pool_folder("disks"));
    CHECK(pool->available_bytes > 0);
    if (driver() != Driver::test) CHECK(fs::is_directory(stage.pool_folder("disks")));
    stage.hypervisor().ensure_pool(name, stage.pool_folder("disks").string() + "/");
}

TEST_CASE("a pool's folder that is there keeps its mode") {
    Stage stage;
    fs::create_directory(stage.pool_folder("disks"));
    fs::permissions(stage.pool_folder("disks"), fs::perms{0751});
    stage.pool("disks");
    CHECK(fs::status(stage.pool_folder("disks")).permissions() == fs::perms{0751});
}

TEST_CASE("a pool of that name in another folder is refused as misconfigured, and stays as it is") {
    Stage stage;
    auto name = stage.pool("disks");
    CHECK(code_of([&] { stage.hypervisor().ensure_pool(name, stage.pool_folder("other").string()); }) ==
          Code::config);
    CHECK(stage.hypervisor().find_pool(name)->path == stage.pool_folder("disks"));
}

TEST_CASE("a pool that was never made is absent, and removing it is no error") {
    Stage stage;
    auto name = stage.name("nothing");
    CHECK_FALSE(stage.hypervisor().find_pool(name));
    stage.hypervisor().remove_pool(name);
    CHECK(code_of([&] {
              stage.hypervisor().create_volume(name, {"a.qcow2", mib, "/x"});
          }) == Code::not_found);
}

TEST_CASE("a volume is an overlay of the asked size, found by its path") {
    Stage stage;
    auto pool = stage.pool("disks");
    auto base = base_image(stage);
    auto made = stage.hypervisor().create_volume(pool, {"a.qcow2", 128 * mib, base});
    CHECK(made.path == file_of(stage, "disks", "a.qcow2"));
    CHECK(made.capacity_bytes == 128 * mib);
    auto found = stage.hypervisor().find_volume(made.path);
    REQUIRE(found);
    CHECK(found->path == made.path);
    CHECK(found->capacity_bytes == 128 * mib);
    if (driver() != Driver::test) CHECK(qcow2_virtual_size(made.path) == 128 * mib);
    stage.hypervisor().delete_volume(made.path);
}

TEST_CASE("a volume's name can be taken once") {
    Stage stage;
    auto pool = stage.pool("disks");
    const VolumeSpec volume{"a.qcow2", 128 * mib, base_image(stage)};
    auto made = stage.hypervisor().create_volume(pool, volume);
    CHECK(code_of([&] { stage.hypervisor().create_volume(pool, volume); }) == Code::exists);
    stage.hypervisor().delete_volume(made.path);
}

TEST_CASE("a file that lies where the volume would be counts as taken, and is left alone") {
    if (driver() == Driver::test) return skip("the test driver makes no files");
    Stage stage;
    auto pool = stage.pool("disks");
    std::ofstream(file_of(stage, "disks", "a.qcow2")) << "somebody's";
    CHECK(code_of([&] {
              stage.hypervisor().create_volume(pool, {"a.qcow2", 128 * mib, base_image(stage)});
          }) == Code::exists);
    CHECK(fs::file_size(file_of(stage, "disks", "a.qcow2")) == 10);
}

TEST_CASE("a deleted volume is gone with its file, its base stays, and deleting it again is no error") {
    Stage stage;
    auto pool = stage.pool("disks");
    auto base = base_image(stage);
    auto made = stage.hypervisor().create_volume(pool, {"a.qcow2", 128 * mib, base});
    stage.hypervisor().delete_volume(made.path);
    CHECK_FALSE(stage.hypervisor().find_volume(made.path));
    CHECK_FALSE(fs::exists(made.path));
    CHECK(fs::exists(base));
    stage.hypervisor().delete_volume(made.path);
}

TEST_CASE("a volume that came to be behind the hypervisor's back can be deleted") {
    if (driver() == Driver::test) return skip("the test driver makes no files");
    Stage stage;
    stage.pool("disks");
    auto path = file_of(stage, "disks", "late.qcow2");
    simulated::make_qcow2(path, mib, "");
    stage.hypervisor().delete_volume(path);
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a file that no pool holds is neither called absent nor deleted") {
    if (driver() == Driver::test) return skip("the test driver makes no files");
    Stage stage;
    auto base = base_image(stage);
    CHECK(code_of([&] { stage.hypervisor().find_volume(base); }) == Code::hypervisor);
    CHECK(code_of([&] { stage.hypervisor().delete_volume(base); }) == Code::hypervisor);
    CHECK(fs::exists(base));
    CHECK_FALSE(stage.hypervisor().find_volume((stage.folder() / "nothing").string()));
    stage.hypervisor().delete_volume((stage.folder() / "nothing").string());
}

TEST_CASE("an interface is isolated and filtered, in its definition and while it runs") {
    if (driver() == Driver::test) return skip("the test driver has no network filters");
    Stage stage;
    const auto name = stage.name("guarded"), filter = stage.name("guards");
    const auto mac = Mac::try_parse("52:54:00:b1:0c:07");
    const std::string bridge = stage.bridge();
    auto& hypervisor = stage.hypervisor();
    stage.define(stage.tiny_domain(name, Uuid::random().str(),
                                   "<interface type='bridge'><source bridge='" + bridge +
                                       "'/><mac address='" + mac->str() +
                                       "'/><model type='virtio'/></interface>"));
    hypervisor.ensure_filter({FilterKind::ipv4, filter});
    const InterfaceFilter wanted{filter, *mac, *Ipv4::try_parse("10.0.0.7"), {}};
    hypervisor.start(name);
    const auto running = [&] {
        const auto others = hypervisor.other_definitions(name);
        return others.empty() ? hypervisor.find(name)->xml : others.front();
    };
    for (const auto& xml : interfaces_to_guard(running(), bridge, wanted))
        hypervisor.set_interface(name, xml, TuningOf::running);
    const auto now = running_interface(running(), *mac);
    REQUIRE(now);
    CHECK((now->isolated && now->filter == filter));
    for (const auto& xml : interfaces_to_guard(hypervisor.find(name)->xml, bridge, wanted))
        hypervisor.set_interface(name, xml, TuningOf::definition);
    CHECK(interfaces_to_guard(hypervisor.find(name)->xml, bridge, wanted).empty());
    hypervisor.bind_filter(name, filter_binding(running(), *mac));
    hypervisor.power_off(name);
    CHECK(code_of([&] { hypervisor.set_interface(name, "<interface/>", TuningOf::running); }) ==
          Code::wrong_state);
}

TEST_CASE("a filter is made, made again and updated, and removed twice") {
    if (driver() == Driver::test) return skip("the test driver has no network filters");
    Stage stage;
    auto name = stage.name("filter");
    stage.hypervisor().ensure_filter({FilterKind::ipv4, name});
    stage.hypervisor().ensure_filter({FilterKind::ipv4, name});
    stage.hypervisor().ensure_filter({FilterKind::ipv4_and_ipv6, name});
    stage.hypervisor().remove_filter(name);
    stage.hypervisor().remove_filter(name);
}

TEST_CASE("a filter of that name with another uuid is not replaced") {
    if (driver() == Driver::test) return skip("the test driver has no network filters");
    Stage stage;
    auto name = stage.name("filter");
    stage.make_filter(name, "<filter name='" + name + "' chain='root'><uuid>" + Uuid::random().str() +
                                "</uuid></filter>");
    CHECK(code_of([&] { stage.hypervisor().ensure_filter({FilterKind::ipv4, name}); }) == Code::exists);
}

TEST_CASE("a domain as create renders it starts, with disk, seed, filter, console and agent channel") {
    if (driver() == Driver::test) return skip("the test driver has no network filters and makes no files");
    auto kind = GENERATE(FilterKind::ipv4, FilterKind::ipv4_and_ipv6);
    Stage stage;
    auto& hypervisor = stage.hypervisor();
    auto pool = stage.pool("disks");
    auto instance = InstanceId::random();
    VmName name(stage.name("vm"));
    auto filter = stage.name("filter");
    hypervisor.ensure_filter({kind, filter});
    auto disk = hypervisor.create_volume(pool, {"vm.qcow2", 128 * mib, base_image(stage)});
    std::ofstream(stage.folder() / "seed.iso") << std::string(64 * 1024, '\0');
    DomainSpec spec{.name = name,
                    .uuid = Uuid::random(),
                    .kvm = false,
                    .cpus = 1,
                    .memory_mib = 64,
                    .disk_path = disk.path,
                    .seed_path = (stage.folder() / "seed.iso").string(),
                    .console_path = (stage.folder() / "console.log").string(),
                    .bridge = stage.bridge(),
                    .mac = *Mac::try_parse("52:54:00:01:02:03"),
                    .filter = filter,
                    .kernel = {},
                    .initrd = {},
                    .kernel_arguments = {},
                    .instance = instance,
                    .operation = OperationId::make(instance),
                    .state_folder = "/var/lib/blockhost",
                    .ip = *Ipv4::try_parse("192.0.2.7"),
                    .ipv6 = {},
                    .wallet = "0xabc",
                    .username = "admin",
                    .network_mode = "none",
                    .expires_at = "2030-01-01T00:00:00+00:00",
                    .created_at = "2029-01-01T00:00:00+00:00"};
    if (kind == FilterKind::ipv4_and_ipv6) spec.ipv6 = Ipv6::try_parse("2001:db8::7");
    hypervisor.define(spec);
    hypervisor.define(spec);
    DomainSpec other = spec;
    other.uuid = Uuid::random();
    CHECK(code_of([&] { hypervisor.define(other); }) == Code::exists);
    hypervisor.start(name.str());
    CHECK(hypervisor.state(name.str()) == PowerState::running);

    auto facts = read_domain(hypervisor.find(name.str())->xml);
    REQUIRE(facts.claim.unproven());
    CHECK(facts.claim.unproven()->instance == instance.str());
    CHECK(facts.claim.unproven()->operation == spec.operation.str());
    CHECK(facts.claim.unproven()->ipv6 == spec.ipv6);
    CHECK(facts.disks == std::vector{disk.path});
    CHECK(facts.seeds == std::vector{spec.seed_path});
    CHECK(facts.macs == std::vector{spec.mac.str()});
    CHECK(facts.bridge == spec.bridge);
    CHECK(facts.console_log == spec.console_path);
    CHECK(facts.memory_mib == 64);

    hypervisor.power_off(name.str());
    hypervisor.undefine(name.str());
    hypervisor.delete_volume(disk.path);
}
