// SPDX-License-Identifier: MIT
/// A disk in a definition, and the same with another file.
#include "hypervisor/xml/disk.hpp"

#include "base/error.hpp"
#include "hypervisor/files/disk_layers.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

const std::string definition = R"(<domain type='qemu'><name>vm-1</name><devices>
  <disk type='file' device='disk'>
    <driver name='qemu' type='qcow2' discard='unmap'/>
    <source file='/vms/upper' index='2'/>
    <backingStore type='file'><format type='qcow2'/><source file='/vms/lower'/><backingStore/></backingStore>
    <mirror type='file' job='active-commit'><source file='/vms/lower'/></mirror>
    <target dev='vda' bus='virtio'/>
    <address type='pci' slot='0x02'/>
  </disk>
  <disk type='file' device='cdrom'><source file='/seed.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
  <disk type='file' device='disk'><source file='/other'/><target dev='vdb' bus='virtio'/></disk>
</devices></domain>)";

} // namespace

TEST_CASE("a disk's file is found by the disk's name") {
    CHECK(file_of_disk(definition, "vda") == "/vms/upper");
    CHECK(file_of_disk(definition, "vdb") == "/other");
    CHECK(file_of_disk(definition, "vdc").empty());
    CHECK_THROWS_AS(file_of_disk("<domain", "vda"), Error);
}

TEST_CASE("a disk with another file keeps everything but its layers") {
    const std::string element = disk_with(definition, "vda", "/vms/a&b");
    CHECK(element.find("<source file=\"/vms/a&amp;b\"") != element.npos);
    for (const char* kept : {"discard=\"unmap\"", "dev=\"vda\"", "slot=\"0x02\""})
        CHECK(element.find(kept) != element.npos);
    for (const char* gone : {"backingStore", "mirror", "index", "/vms/upper", "/vms/lower", "vdb"})
        CHECK(element.find(gone) == element.npos);
    CHECK_THROWS_AS(disk_with(definition, "vdc", "/x"), Error);
}

TEST_CASE("a definition with another file differs in that disk alone") {
    const auto layers = disk_layers(with_disk(definition, "vda", "/vms/lower"));
    REQUIRE(layers.size() == 2);
    CHECK(layers[0].files == std::vector<std::string>{"/vms/lower"});
    CHECK(layers[0].commit.empty());
    CHECK(layers[1].files == std::vector<std::string>{"/other"});
}

TEST_CASE("an overlay is asked for on that disk, and on no other") {
    const std::string asked = render_layer(definition, "vda", "/vms/new");
    CHECK(asked.find("<disk name=\"vda\" snapshot=\"external\" type=\"file\"") != asked.npos);
    CHECK(asked.find("<source file=\"/vms/new\"") != asked.npos);
    CHECK(asked.find("<disk name=\"vdb\" snapshot=\"no\"") != asked.npos);
    CHECK(asked.find("<disk name=\"sda\" snapshot=\"no\"") != asked.npos);
    CHECK_THROWS_AS(render_layer(definition, "vdc", "/vms/new"), Error);
}
