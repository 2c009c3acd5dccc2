// SPDX-License-Identifier: MIT
// What libvirt is told of a backup, and what is read of one that is under way.
#include "hypervisor/xml/backup.hpp"

#include "base/error.hpp"
#include "hypervisor/xml/runs_as.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

BackupSpec example() {
    return {"vda", "/run/s", "/pool/web-001.scratch", "bh-2", ""};
}

} // namespace

TEST_CASE("only the named disk takes part, in pull mode, with the checkpoint") {
    CHECK(render_backup(example()) == R"(<domainbackup mode="pull">
  <server transport="unix" socket="/run/s" />
  <disks>
    <disk name="vda" backup="yes" type="file" exportname="vda">
      <driver type="qcow2" />
      <scratch file="/pool/web-001.scratch" />
    </disk>
  </disks>
</domainbackup>
)");
    CHECK(render_checkpoint(example()) == R"(<domaincheckpoint>
  <name>bh-2</name>
  <disks>
    <disk name="vda" checkpoint="bitmap" />
  </disks>
</domaincheckpoint>
)");
    CHECK(export_bitmap(example()).empty());
}

TEST_CASE("the record of writes since a checkpoint is served under a name of its own") {
    BackupSpec spec = example();
    spec.since = "bh-1";
    const std::string xml = render_backup(spec);
    CHECK(xml.find("<incremental>bh-1</incremental>") != xml.npos);
    CHECK(xml.find("exportbitmap=\"" + export_bitmap(spec) + "\"") != xml.npos);
}

TEST_CASE("of a backup under way its socket is read") {
    CHECK(backup_socket(render_backup(example())) == "/run/s");
    CHECK(backup_socket("<domainbackup mode='push'/>").empty());
    CHECK_THROWS_AS(backup_socket("<domainbackup"), Error);
}

TEST_CASE("a checkpoint is remembered without the one that it followed") {
    CHECK(without_parent(
              "<domaincheckpoint><name>b</name><parent><name>a</name></parent></domaincheckpoint>") ==
          "<domaincheckpoint>\n  <name>b</name>\n</domaincheckpoint>\n");
    CHECK_THROWS_AS(without_parent("<domaincheckpoint"), Error);
}

TEST_CASE("as whom QEMU runs is libvirt's numbers, and nobody else's guess") {
    const auto with = [](const std::string& labels) { return "<domain>" + labels + "</domain>"; };
    const auto found =
        runs_as(with("<seclabel type='dynamic' model='apparmor'><label>libvirt-1</label></seclabel>"
                     "<seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+106</label>"
                     "<imagelabel>+64055:+106</imagelabel></seclabel>"));
    REQUIRE(found);
    CHECK(found->uid == 64055);
    CHECK(found->gid == 106);
    for (const char* label : {"", "+1", "root:root", "+1:+", "+1:+2x", "1:2", "+99999999999:+1"})
        CHECK_FALSE(
            runs_as(with("<seclabel model='dac'><label>" + std::string(label) + "</label></seclabel>")));
    CHECK_FALSE(runs_as(with("")));
    CHECK_THROWS_AS(runs_as("<domain"), Error);
}
