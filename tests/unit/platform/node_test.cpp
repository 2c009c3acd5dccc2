// SPDX-License-Identifier: MIT
// What a node's answers say, and when they make no sense.
#include "platform/proxmox/node.hpp"
#include "platform/proxmox/task.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::platform;
using namespace blockhost::platform::proxmox;
using boost::json::parse;

TEST_CASE("a list of guests is read row by row, without templates") {
    const auto guests = guests_in(parse(R"([{"vmid":"101","name":"a","status":"running","maxmem":1048576},
        {"vmid":100,"template":1},{"vmid":102,"maxmem":-1048576}])"),
                                  Kind::vm, "/qemu");
    REQUIRE(guests.size() == 2);
    CHECK(guests[0].id == "101");
    CHECK(guests[0].power == Power::running);
    CHECK(guests[0].config->memory_mib == 1);
    CHECK(guests[1].config->memory_mib == std::nullopt);
}

TEST_CASE("a row that cannot be read makes the list one: a shorter list would look like fewer guests") {
    for (auto rows : {"{}", "null", "[1]", R"([{"vmid":100},null])", R"([{"name":"a"}])", R"([{"vmid":99}])",
                      R"([{"vmid":"../1"}])", R"([{"vmid":1e99}])"})
        CHECK_THROWS_AS(guests_in(parse(rows), Kind::vm, "/qemu"), Error);
    for (auto rows : {"{}", R"([{"volid":"local:backup/a"},1])", R"([{"ctime":1}])"})
        CHECK_THROWS_AS(backups_in(parse(rows), "/content"), Error);
    CHECK_THROWS_AS(snapshots_in(parse("[1]"), "/snapshot"), Error);
    CHECK_THROWS_AS(permissions_in(parse("[]"), "/access/permissions"), Error);
}

TEST_CASE("of the certificates on a node's disk, its front end shows the custom one, else its own") {
    const std::string ours = R"({"filename":"pve-ssl.pem","pem":"ours"})",
                      ca = R"({"filename":"pve-root-ca.pem",)"
                           R"("pem":"ca"})",
                      custom = R"({"filename":"pveproxy-ssl.pem","pem":"custom"})";
    const auto shown = [](const std::string& rows) {
        return front_certificate_in(parse("[" + rows + "]"), "/certificates/info");
    };
    CHECK(shown(ca + "," + ours) == "ours");
    CHECK(shown(ours + "," + custom) == "custom");
    CHECK(shown(custom + "," + ours + "," + ca) == "custom");
    for (const std::string& rows :
         {std::string(), ca, std::string("1"), std::string(R"({"filename":"pve-ssl.pem"})"),
          ours + R"(,{"filename":"pveproxy-ssl.pem"})"})
        CHECK_THROWS_AS(shown(rows), Error);
    CHECK_THROWS_AS(front_certificate_in(parse("{}"), "/certificates/info"), Error);
}

TEST_CASE("whose a backup is, its name tells; and a source is a template's number or a backup") {
    CHECK(guest_of_backup("local:backup/vzdump-lxc-210-2026_11_28-16_04_10.tar.zst") == 210);
    CHECK(guest_of_backup("local:backup/vzdump-qemu-100-2026_11_28-16_04_10.vma") == 100);
    CHECK(guest_of_backup("pbs:backup/vm/100/2026-11-28T16:04:10Z") == 100);
    CHECK(guest_of_backup("pbs:backup/ct/100/2026-11-28T16:04:10Z") == 100);
    for (const char* none :
         {"", "local:vztmpl/x.tar.zst", "local:backup/vzdump-lxc-.tar", "local:backup/vzdump-qemu-99-x",
          "local:backup/vzdump-qemu-1000000000-x", "pbs:backup/host/100/x"})
        CHECK_FALSE(guest_of_backup(none));
    CHECK(template_in("9000") == 9000);
    for (const char* none : {"", "local:backup/vzdump-qemu-100-x.vma", "9000x", "-100"})
        CHECK_FALSE(template_in(none));
    for (const char* wrong : {"99", "0100", "1000000000", "99999999999999999999"})
        CHECK_THROWS_AS(template_in(wrong), Error);
}

TEST_CASE("a privilege holds on its path, and below it where it is passed on") {
    const Permissions held = permissions_in(
        parse(R"({"/":{"Sys.Audit":1},"/vms":{"VM.Audit":1,"VM.Backup":0},"/vms/100":1})"), "/permissions");
    CHECK(permits(held, "/vms/100", "VM.Audit"));
    CHECK(permits(held, "/vms", "VM.Backup"));
    CHECK_FALSE(permits(held, "/vms/100", "VM.Backup"));
    CHECK_FALSE(
        permits(held, "/vms/100", "VM.Backup|Sys.Audit")); // what is told of /vms is all that holds there
    CHECK_FALSE(permits(held, "/vmsx", "VM.Audit"));
    CHECK(permits(held, "vms", "Sys.Audit"));
    CHECK_FALSE(permits(held, "vms", "VM.Audit"));
}

TEST_CASE("a log tells a good end's warnings, and a failure's last lines") {
    auto state = end_of("WARNINGS: 1");
    add_log(state,
            log_in(parse(R"([{"n":1,"t":"a"},{"n":2,"t":"WARN: b"},{"n":3,"t":"TASK WARNINGS: 1"}])")));
    CHECK(state.warnings == std::vector<std::string>{"WARN: b"});
    CHECK(end_of("WARNINGS: -1").phase == TaskState::Phase::failed);
    auto failed = end_of("job errors");
    add_log(failed, std::vector<std::string>(11, "line"));
    CHECK(failed.log.size() == 10);
    CHECK(log_in(parse("null")).empty());
}

TEST_CASE("an error names wrong parameters within a line's length") {
    Refusal refusal{RefusalKind::invalid, "Parameter verification failed.", {}, {}, {}, {}};
    for (int i = 0; i < 100; ++i) refusal.parameters["p" + std::to_string(i)] = std::string(200, 'x');
    CHECK(error_of(refusal, "POST /nodes/pve1/qemu").message().size() < 1200);
}
