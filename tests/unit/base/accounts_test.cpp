// SPDX-License-Identifier: MIT
// Users and groups, compared with what the C library finds.
#include "base/accounts.hpp"

#include <catch2/catch.hpp>
#include <grp.h>
#include <pwd.h>
#include <set>

using namespace blockhost;

TEST_CASE("accounts and groups are what the system's own look-up says") {
    for (const char* name : {"root", "libvirt-qemu", "libvirt", "blockhost", "no-such-group"}) {
        const group* known = getgrnam(name);
        auto found = group_id(name);
        CAPTURE(name);
        CHECK(found.has_value() == (known != nullptr));
        if (found && known != nullptr) CHECK(*found == known->gr_gid);
    }
    const passwd* qemu = getpwnam("libvirt-qemu");
    const auto found = qemu_credentials();
    CHECK(found.has_value() == (qemu != nullptr));
    if (qemu != nullptr && found) {
        CHECK(found->uid == qemu->pw_uid);
        std::vector<gid_t> known(64);
        int count = static_cast<int>(known.size());
        REQUIRE(getgrouplist(qemu->pw_name, qemu->pw_gid, known.data(), &count) >= 0);
        CHECK(std::set<gid_t>(found->groups.begin(), found->groups.end()) ==
              std::set<gid_t>(known.begin(), known.begin() + count));
    }
    CHECK(blockhost_account().has_value() == (getpwnam("blockhost") != nullptr));
}
