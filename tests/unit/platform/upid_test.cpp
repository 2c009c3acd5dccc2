// SPDX-License-Identifier: MIT
// Task handles, as real nodes write them.
#include "platform/proxmox/upid.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::platform::proxmox;

TEST_CASE("a handle's fields are read") {
    const std::string text = "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:140:agent@pve!main:";
    const auto upid = parse_upid(text);
    REQUIRE(upid);
    CHECK(upid->text == text);
    CHECK(upid->node == "pve1");
    CHECK(upid->pid == 0xC3F1);
    CHECK(upid->process_start == 0x12A4B7);
    CHECK(upid->number == std::nullopt);
    CHECK(upid->started == 0x6929A1C3);
    CHECK(upid->type == "qmstart");
    CHECK(upid->subject == "140");
    CHECK(upid->user == "agent@pve!main");
}

TEST_CASE("the subject may be empty or hold an address sign, and a long uptime has nine digits") {
    for (auto text : {"UPID:pve1:0000C3F1:0012A4B7:6929A1C3:vzdump::root@pam:",
                      "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:imgdel:210@local:agent@pve!main:",
                      "UPID:a-b-9:0000c3f1:10012A4B7:6929a1c3:qmstart:140:u@ldap:",
                      "UPID:p:0000C3F1:0012A4B7:FFFFFFFF:aptupdate::root@pam:"})
        CHECK(parse_upid(text));
    CHECK(parse_upid("UPID:pve1:0000C3F1:0012A4B7:6929A1C3:imgdel:210@local:a@pve:")->subject == "210@local");
    CHECK(parse_upid("UPID:pve1:0000C3F1:0012A4B7:6929A1C3:vzdump::a@pve:")->subject == "");
}

TEST_CASE("Backup Server's handles have the task's number as well") {
    const auto upid = parse_upid("UPID:pbs:0000C3F1:0012A4B7:0000002A:6929A1C3:backup:main\\x3avm:b@pbs:");
    REQUIRE(upid);
    CHECK(upid->number == 42);
    CHECK(upid->started == 0x6929A1C3);
    CHECK(upid->type == "backup");
}

TEST_CASE("what is no handle is not read as one") {
    for (std::string text : {"", "UPID:", "local:backup/vzdump-qemu-1.vma",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:140:a@pve",
                             "UPID:pve1:C3F1:0012A4B7:6929A1C3:qmstart:140:a@pve:",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3::140:a@pve:",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:140::",
                             "UPID:pve1:0000C3G1:0012A4B7:6929A1C3:qmstart:140:a@pve:",
                             "UPID::0000C3F1:0012A4B7:6929A1C3:qmstart:140:a@pve:",
                             "UPID:../x:0000C3F1:0012A4B7:6929A1C3:qmstart:1:a@pve:",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:1 0:a@pve:",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:1\n:a@pve:",
                             "UPID:pve1:-000C3F1:0012A4B7:6929A1C3:qmstart:140:a@pve:",
                             "UPID:pve1:0000C3F1:0012A4B7:6929A1C3:qmstart:140:a@pve:x:y:"})
        CHECK_FALSE(parse_upid(text));
    CHECK_FALSE(parse_upid("UPID:pve1:0000C3F1:0012A4B7:6929A1C3:q:" + std::string(500, 'a') + ":a@pve:"));
    CHECK_FALSE(is_upid("local:backup/x"));
    CHECK(is_upid("UPID:x"));
}
