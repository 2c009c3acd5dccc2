// SPDX-License-Identifier: MIT
// What a node tells of its storages and of the backups in them.
#include "platform/proxmox/node.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;
using boost::json::parse;

namespace {

constexpr const char* from = "/nodes/pve1/storage";

BackupVolume one(const std::string& more) {
    return backups_in(
               parse(R"([{"volid":"pbs:backup/vm/100/2026-11-28T16:04:10Z","vmid":"100","ctime":1795881850,
                                 "size":1069994,"format":"pbs-vm")" +
                     more + "}]"),
               from)
        .at(0);
}

} // namespace

TEST_CASE("a backup is told with what a Backup Server found, which may be nothing") {
    CHECK(one("").verified == std::nullopt);
    CHECK(one(R"(,"verification":{"state":"ok","upid":"UPID:x"})").verified == true);
    CHECK(one(R"(,"verification":{"state":"failed"})").verified == false);
    CHECK(one(R"(,"verification":{"state":"of another version"})").verified == std::nullopt);
    CHECK(one(R"(,"verification":7)").verified == std::nullopt);
    CHECK(one("").guest == 100);
    CHECK(one("").format == "pbs-vm");
    CHECK_FALSE(one("").is_encrypted);
    CHECK(one(R"(,"encrypted":"1")").is_encrypted);
    CHECK(one(R"(,"encrypted":"ab:cd")").is_encrypted);
    CHECK_FALSE(one(R"(,"encrypted":0)").is_encrypted);
    CHECK(one(R"(,"protected":1)").is_protected);
}

TEST_CASE("a backup's row that makes no sense makes the list one") {
    for (const char* row :
         {R"({"volid":"local:backup/a","size":-1})", R"({"volid":"local:backup/a","size":"x"})",
          R"({"volid":"local:backup/a","ctime":[]})", R"({"volid":"local:backup/a","ctime":-5})",
          R"({"volid":"local:backup/a","vmid":1000000000})", R"({"volid":"local:backup/a","vmid":"../1"})",
          R"({"volid":"local:backup/a b"})", R"({"volid":"local:backup/a\nb"})", R"({"volid":""})"}) {
        CAPTURE(row);
        CHECK_THROWS(backups_in(parse(std::string("[") + row + "]"), from));
    }
    CHECK_THROWS_AS(backups_in(parse(R"([{"volid":")" + std::string(2000, 'x') + "\"}]"), from), Error);
    CHECK(backups_in(parse(R"([{"volid":"local:backup/a"}])"), from).at(0).made == 0);
}

TEST_CASE("a storage takes backups when that is among its contents") {
    const auto all = storages_in(parse(R"([
        {"storage":"local","type":"dir","content":"images,backup , iso","active":1,"enabled":1,"avail":"5","total":7},
        {"storage":"usb","type":"dir","content":"backup","active":0},
        {"storage":"disks","type":"lvmthin","content":"images,backups","enabled":0}])"),
                                 from);
    REQUIRE(all.size() == 3);
    CHECK(all[0] == StorageRow{"local", "dir", true, true, true, 7, 5});
    CHECK(all[1].takes_backups);
    CHECK_FALSE(all[1].is_active);
    CHECK_FALSE(all[2].takes_backups);
    CHECK_FALSE(all[2].is_enabled);
    for (const char* wrong : {"{}", "[1]", "[{}]", R"([{"storage":""}])", R"([{"storage":"a","avail":-1}])"})
        CHECK_THROWS_AS(storages_in(parse(wrong), from), Error);
}

TEST_CASE("an archive's configuration is read as far as the guest's snapshots") {
    const auto config = archived_config_in(
        boost::json::value("#qmdump#map:scsi0:drive-scsi0:local:raw:\nboot: order=scsi0\nnet0: "
                           "virtio=BC:24:11:00:00:01,bridge=vmbr0\n\nscsi0: local:100/x.raw,size=8G\n"
                           "[before]\nboot: order=ide0\n"),
        from);
    CHECK(config.size() == 3);
    CHECK(config.at("net0").as_string() == "virtio=BC:24:11:00:00:01,bridge=vmbr0");
    for (const auto& wrong :
         {boost::json::value(), boost::json::value(""), boost::json::value("no colon"),
          boost::json::value(": x"), boost::json::value("#only\n"), boost::json::value("[snapshots]\na: b\n"),
          boost::json::value(std::string(std::size_t{1} << 19, 'x'))})
        CHECK_THROWS_AS(archived_config_in(wrong, from), Error);
}
