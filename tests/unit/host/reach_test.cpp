// SPDX-License-Identifier: MIT
// The way down to disks for QEMU's user: opened where it is ours, named where it is not.
#include "host/reach.hpp"

#include "base/accounts.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;
using host::Way;

namespace {

bool can_be_tried() {
    if (geteuid() == 0 && qemu_credentials() && qemu_group()) return true;
    WARN("skipped: this takes root, and libvirt's user and group libvirt-qemu");
    return false;
}

gid_t group_of(const std::filesystem::path& path) {
    return look(path).st_gid;
}

/// A state folder as an installer leaves it that gives it to one user as a whole.
struct Given : Scratch {
    std::filesystem::path state = *this / "state", vms = state / "vms";
    Given() {
        std::filesystem::create_directories(vms);
        chmod(state.c_str(), 0750);
        chmod(vms.c_str(), 0710);
    }
};

} // namespace

TEST_CASE("folders of ours are opened to QEMU's group, and the state folder to passing") {
    if (!can_be_tried()) return;
    const Given given;
    CHECK_FALSE(host::blocked_for_qemu(given.vms, given.state, Way::look));
    CHECK(mode_of(given.state) == 0750); // a look changes nothing
    CHECK_FALSE(host::blocked_for_qemu(given.vms / "not/yet", given.state, Way::open));
    CHECK(mode_of(given.state) == 0751);
    CHECK(mode_of(given.vms) == 0710);
    CHECK(group_of(given.vms) == qemu_group());
}

TEST_CASE("a folder's owner who is not in QEMU's group lets everybody pass") {
    if (!can_be_tried()) return;
    const Given given;
    for (const auto& folder : {given.state, given.vms}) REQUIRE(chown(folder.c_str(), 61523, 61523) == 0);
    const int status = in_child([&] {
        if (setresgid(61523, 61523, 61523) != 0 || setresuid(61523, 61523, 61523) != 0) return 2;
        return host::blocked_for_qemu(given.vms, given.state, Way::open) ? 1 : 0;
    });
    CHECK(ended_with(status, 0));
    CHECK(mode_of(given.vms) == 0711);
    CHECK(group_of(given.vms) == 61523);
}

TEST_CASE("what is not ours to open is named and left alone") {
    if (!can_be_tried()) return;
    const Given given;
    std::filesystem::create_directories(given / "other/disks");
    chmod((given / "other").c_str(), 0700);
    CHECK(host::blocked_for_qemu(given / "other/disks", given.state, Way::open) == given / "other");
    CHECK(mode_of(given / "other") == 0700);
    // A link in the state folder leads to what is not ours.
    std::filesystem::create_directory_symlink(given / "other/disks", given.state / "linked");
    chmod((given / "other").c_str(), 0711);
    chmod((given / "other/disks").c_str(), 0700);
    CHECK(host::blocked_for_qemu(given.state / "linked", given.state, Way::open) == given.state / "linked");
    CHECK(mode_of(given / "other/disks") == 0700);
    // As a user who owns nothing of it.
    const int status = in_child([&] {
        if (setresuid(61523, 61523, 61523) != 0) return 2;
        return host::blocked_for_qemu(given.vms, given.state, Way::open) == given.vms ? 0 : 1;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("a path is within a folder by its parts") {
    CHECK(host::is_within("/a/b", "/a"));
    CHECK(host::is_within("/a", "/a"));
    CHECK_FALSE(host::is_within("/ab", "/a"));
    CHECK_FALSE(host::is_within("/", "/a"));
}
