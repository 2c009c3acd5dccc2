// SPDX-License-Identifier: MIT
// Requests and the definitions made of them; definitions and what is read from them.

#include "hypervisor/xml/domain.hpp"

#include "base/error.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace hypervisor_test;

namespace {

std::string with_devices(const std::string& devices) {
    return "<domain><name>x</name><devices>" + devices + "</devices></domain>";
}

} // namespace

TEST_CASE("a KVM guest with IPv4 alone is rendered as agreed") {
    auto xml = render_domain(example_spec());
    check_golden("domain-kvm-ipv4.xml", xml);
    check_valid(xml, "domain");
}

TEST_CASE("an emulated guest with IPv6 and its own kernel is rendered as agreed") {
    auto spec = example_spec();
    spec.kvm = false;
    spec.ipv6 = Ipv6::try_parse("2a11:6c7:f04:276::5");
    spec.filter = "blockhost-guest-ipv4-ipv6";
    spec.kernel = "/boot/vmlinuz";
    spec.initrd = "/boot/initrd.img";
    spec.kernel_arguments = "console=ttyS0 root=/dev/vda";
    auto xml = render_domain(spec);
    check_golden("domain-qemu-ipv6-kernel.xml", xml);
    check_valid(xml, "domain");
}

TEST_CASE("a trial is rendered as agreed: it carries no mark, so that nobody takes it for a VM") {
    const TrialSpec spec{.name = "blockhost-template-trial-01234567",
                         .uuid = example_spec().uuid,
                         .kvm = false,
                         .disk_path = "/var/cache/blockhost/build/trial.qcow2",
                         .console_path = "/var/cache/blockhost/build/trial.log"};
    auto xml = render_trial(spec);
    check_golden("trial.xml", xml);
    check_valid(xml, "domain");
    CHECK_FALSE(read_mark(xml));
}

TEST_CASE("what a domain's disks come from is told whole") {
    auto sources = disk_sources(with_devices(
        "<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'/>"
        "<backingStore type='file'><source file='/c'/><backingStore/></backingStore></backingStore></disk>"
        "<disk type='block' device='disk'><source dev='/dev/d'/><readonly/></disk>"
        "<disk type='file' device='lun'><source file='/e'/></disk>"
        "<disk type='volume'><source pool='p' volume='v'/></disk>"
        "<disk type='network'><source protocol='rbd' name='x'/></disk>"
        "<disk type='file'><driver type='raw'/><source file='/raw'/></disk>"
        "<disk type='file'><driver type='qcow2'/><source file='/f'/><backingStore type='file'><format "
        "type='raw'/>"
        "<source file='/raw-base'/></backingStore><mirror type='file'><format type='qcow2'/><source "
        "file='/m'/></mirror>"
        "</disk>"
        "<disk type='file'/>"
        "<disk type='file' device='cdrom'><source file='/iso'/></disk>"
        "<disk type='file' device='floppy'><source file='/floppy'/></disk>"));
    CHECK(sources.files == std::vector<std::string>{"/a", "/b", "/c", "/dev/d", "/e", "/f", "/m"});
    CHECK(sources.raw == std::vector<std::string>{"/raw", "/raw-base"});
    CHECK(sources.removable == std::vector<std::string>{"/iso", "/floppy"});
    REQUIRE(sources.volumes.size() == 1);
    CHECK(sources.volumes[0].pool == "p");
    CHECK(sources.volumes[0].volume == "v");
    CHECK_THROWS_AS(disk_sources("<domain"), Error);
}

TEST_CASE("what is special in XML is escaped and read back as it was") {
    auto spec = example_spec();
    spec.disk_path = "/srv/a <b> & \"c\"/x.qcow2";
    spec.network_mode = "<mode>&amp;";
    auto xml = render_domain(spec);
    auto facts = read_domain(xml);
    CHECK(facts.disks == std::vector{spec.disk_path});
    CHECK(facts.claim.unproven()->network_mode == spec.network_mode);
    check_valid(xml, "domain");
}

TEST_CASE("a guest without a filter gets none") {
    auto spec = example_spec();
    spec.filter = "";
    CHECK(render_domain(spec).find("filterref") == std::string::npos);
}

TEST_CASE("everything that was rendered is read back") {
    auto spec = example_spec();
    spec.ipv6 = Ipv6::try_parse("2a11:6c7:f04:276::5");
    auto facts = read_domain(render_domain(spec));
    REQUIRE(facts.claim.unproven());
    CHECK(facts.claim.unproven()->instance == spec.instance.str());
    CHECK(facts.claim.unproven()->operation == spec.operation.str());
    CHECK(facts.claim.unproven()->ip == spec.ip);
    CHECK(facts.claim.unproven()->ipv6 == spec.ipv6);
    CHECK(facts.claim.unproven()->wallet == spec.wallet);
    CHECK(facts.claim.unproven()->username == "admin");
    CHECK(facts.claim.unproven()->network_mode == "broker");
    CHECK(facts.claim.unproven()->expires_at == spec.expires_at);
    CHECK(facts.claim.unproven()->created_at == spec.created_at);
    CHECK_FALSE(facts.other_metadata);
    CHECK(facts.disks == std::vector{spec.disk_path});
    CHECK(facts.seeds == std::vector{spec.seed_path});
    CHECK(facts.macs == std::vector{spec.mac.str()});
    CHECK(facts.bridge == "br0");
    CHECK(facts.console_log == spec.console_path);
    CHECK(facts.memory_mib == 2048);
}

TEST_CASE("our metadata is recognised by its namespace, whatever its prefix") {
    auto facts = read_domain("<domain><metadata><q:vm xmlns:q='" + std::string(metadata_namespace) +
                             "' instance='i' operation='o'><q:ip>10.0.0.1</q:ip></q:vm></metadata></domain>");
    REQUIRE(facts.claim.unproven());
    CHECK(facts.claim.unproven()->instance == "i");
    CHECK(facts.claim.unproven()->ip == Ipv4::try_parse("10.0.0.1"));
    CHECK_FALSE(facts.other_metadata);
    CHECK(read_domain("<domain><metadata><vm xmlns='" + std::string(metadata_namespace) +
                      "' instance='i'/></metadata></domain>")
              .claim.unproven());
}

TEST_CASE("our prefix in somebody else's namespace proves nothing") {
    auto facts = read_domain("<domain><metadata><blockhost:vm xmlns:blockhost='https://example.org/' "
                             "instance='i'/></metadata></domain>");
    CHECK_FALSE(facts.claim.unproven());
    CHECK(facts.other_metadata);
}

TEST_CASE("somebody else's metadata beside ours is seen") {
    auto facts = read_domain("<domain><metadata><o:os xmlns:o='http://libosinfo.org/'/><b:vm xmlns:b='" +
                             std::string(metadata_namespace) + "' instance='i'/></metadata></domain>");
    CHECK(facts.claim.unproven());
    CHECK(facts.other_metadata);
}

TEST_CASE("a domain without metadata has neither mark nor other metadata") {
    auto facts = read_domain("<domain><name>x</name><!-- y --></domain>");
    CHECK_FALSE(facts.claim.unproven());
    CHECK_FALSE(facts.other_metadata);
}

TEST_CASE("an address in the metadata that is none is left out") {
    auto facts = read_domain("<domain><metadata><b:vm xmlns:b='" + std::string(metadata_namespace) +
                             "'><b:ip>300.1.1.1</b:ip><b:ipv6>nonsense</b:ipv6></b:vm></metadata></domain>");
    REQUIRE(facts.claim.unproven());
    CHECK_FALSE(facts.claim.unproven()->ip);
    CHECK_FALSE(facts.claim.unproven()->ipv6);
}

TEST_CASE("disks are told from CD-ROMs, and what cannot be written is no disk") {
    auto facts = read_domain(with_devices("<disk><source file='/a'/></disk>"
                                          "<disk device='disk' type='block'><source dev='/dev/b'/></disk>"
                                          "<disk device='disk'><source file='/c'/><readonly/></disk>"
                                          "<disk device='cdrom'><source file='/d'/></disk>"
                                          "<disk device='cdrom'/>"
                                          "<disk device='floppy'><source file='/e'/></disk>"));
    CHECK(facts.disks == std::vector<std::string>{"/a", "/dev/b"});
    CHECK(facts.seeds == std::vector<std::string>{"/d"});
}

TEST_CASE("all hardware addresses are read, in lower case, and the first bridge") {
    auto facts =
        read_domain(with_devices("<interface type='user'><mac address='52:54:00:AA:BB:CC'/></interface>"
                                 "<interface type='bridge'><mac address='52:54:00:00:00:01'/>"
                                 "<source bridge='br7'/></interface>"));
    CHECK(facts.macs == std::vector<std::string>{"52:54:00:aa:bb:cc", "52:54:00:00:00:01"});
    CHECK(facts.bridge == "br7");
}

TEST_CASE("memory is read in any unit, KiB without one") {
    auto memory = [](const std::string& element) {
        return read_domain("<domain>" + element + "</domain>").memory_mib;
    };
    CHECK(memory("<memory>2097152</memory>") == 2048);
    CHECK(memory("<memory unit='KiB'>2097152</memory>") == 2048);
    CHECK(memory("<memory unit='MiB'>2048</memory>") == 2048);
    CHECK(memory("<memory unit='G'>2</memory>") == 2048);
    CHECK(memory("<memory unit='b'>2147483648</memory>") == 2048);
    CHECK(memory("<memory unit='GB'>2</memory>") == 1907);
    CHECK(memory("") == 0);
}

TEST_CASE("a definition that is none is the hypervisor's error") {
    for (const char* text : {"", "<domain", "<pool/>"}) {
        INFO(text);
        CHECK_THROWS_AS(read_domain(text), Error);
    }
}

TEST_CASE("a volume is a qcow2 overlay with compat 1.1") {
    auto xml = render_volume({"blockhost-001.0123456789abcdef.qcow2", 21474836480,
                              "/var/lib/blockhost/templates/blockhost-base-0123456789ab.qcow2"});
    check_golden("volume.xml", xml);
    check_valid(xml, "storagevol");
}

TEST_CASE("a pool is a folder, and its target is read back") {
    auto xml = render_pool("blockhost", "/var/lib/block & host/vms");
    check_golden("pool.xml", xml);
    check_valid(xml, "storagepool");
    CHECK(pool_target(xml) == "/var/lib/block & host/vms");
    CHECK_THROWS_AS(pool_target("<pool type='rbd'><name>x</name></pool>"), Error);
}
