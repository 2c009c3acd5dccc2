// SPDX-License-Identifier: MIT
// What a token holds, as a node tells it: path by path, and whether it is passed on.
#include "platform/proxmox/node.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::platform::proxmox;

TEST_CASE("a right holds below where it is passed on, and nowhere else") {
    const Permissions held{{"/", {{"VM.Audit", true}}}, {"/vms", {{"VM.Audit", true}, {"VM.Backup", false}}}};
    CHECK(permits(held, "/vms", "VM.Audit"));
    CHECK(permits(held, "/vms/100", "VM.Audit"));
    CHECK(permits(held, "/vms", "VM.Backup"));
    CHECK_FALSE(permits(held, "/vms/100", "VM.Backup"));
    CHECK(permits(held, "/vms", "VM.Allocate|VM.Audit"));
    CHECK_FALSE(permits(held, "/vms", "VM.Allocate"));
    CHECK_FALSE(permits({}, "/", "VM.Audit"));
}

TEST_CASE("the nearest path that is told counts alone") {
    const Permissions held{{"/", {{"VM.Audit", true}}}, {"/vms/100", {{"VM.PowerMgmt", true}}}};
    CHECK_FALSE(permits(held, "/vms/100", "VM.Audit"));
    // A node tells of /vms whenever anything is held there: it was taken away.
    CHECK_FALSE(permits(held, "/vms", "VM.Audit"));
    CHECK_FALSE(permits(held, "/vms/101", "VM.Audit"));
    CHECK(permits(held, "/pool/one", "VM.Audit"));
}

TEST_CASE("a hole in what is held is named") {
    Permissions held{{"/vms", {{"VM.Audit", true}}}};
    CHECK(hole_in(held, "/vms", "VM.Audit") == std::nullopt);
    held["/vms/100"]["VM.PowerMgmt"] = true;
    CHECK(hole_in(held, "/vms", "VM.Audit") == "/vms/100");
    held["/vms"]["VM.Audit"] = false;
    CHECK(hole_in(held, "/vms", "VM.Audit") == "/vms");
    CHECK(hole_in({}, "/vms", "VM.Audit") == "/vms");
    held = {{"/vms", {{"VM.Audit", true}}}, {"/vmsx", {}}};
    CHECK(hole_in(held, "/vms", "VM.Audit") == std::nullopt);
}
