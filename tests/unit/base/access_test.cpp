// SPDX-License-Identifier: MIT
// Who may pass through a folder, judged beside the kernel.
#include "base/files/access.hpp"

#include "base/error.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <grp.h>
#include <random>
#include <sys/xattr.h>

using namespace blockhost;
using namespace blockhost::test;

namespace {

const Credentials qemu{64055, {107, 64056}};

bool is_root() {
    if (geteuid() == 0) return true;
    WARN("skipped: changing owners takes root");
    return false;
}

/// What the kernel answers a process of that user.
bool kernel_lets_pass(const std::filesystem::path& folder, const Credentials& who) {
    return ended_with(in_child([&] {
                          if (setgroups(who.groups.size(), who.groups.data()) != 0) return 97;
                          if (setresgid(who.groups[0], who.groups[0], who.groups[0]) != 0) return 98;
                          if (setresuid(who.uid, who.uid, who.uid) != 0) return 98;
                          return access(folder.c_str(), X_OK) == 0 ? 0 : 1;
                      }),
                      0);
}

struct Entry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
};
constexpr std::uint32_t nobody_in_particular = 0xffffffff;

/// Gives the folder an access control list; false where its file system takes none.
bool set_list(const std::filesystem::path& folder, const std::vector<Entry>& entries) {
    std::string bytes{"\2\0\0\0", 4};
    for (const Entry& entry : entries) bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    return setxattr(folder.c_str(), "system.posix_acl_access", bytes.data(), bytes.size(), 0) == 0;
}

} // namespace

TEST_CASE("a supplementary group counts as much as the primary one") {
    if (!is_root()) return;
    Scratch folder;
    for (const gid_t group : qemu.groups) {
        REQUIRE(chown(folder.path().c_str(), 1, group) == 0);
        chmod(folder.path().c_str(), 0710);
        CHECK(may_pass(folder.path(), qemu));
        chmod(folder.path().c_str(), 0701);
        CHECK_FALSE(may_pass(folder.path(), qemu)); // what others may does not count for a group's member
    }
    REQUIRE(chown(folder.path().c_str(), 1, 1) == 0);
    CHECK(may_pass(folder.path(), qemu));
    chmod(folder.path().c_str(), 0710);
    CHECK_FALSE(may_pass(folder.path(), qemu));
    CHECK(may_pass(folder.path(), {0, {0}}));
    REQUIRE(chown(folder.path().c_str(), 64055, 1) == 0);
    chmod(folder.path().c_str(), 0077);
    CHECK_FALSE(may_pass(folder.path(), qemu)); // the owner's own bits count
}

TEST_CASE("modes and access control lists are judged as the kernel judges them") {
    if (!is_root()) return;
    Scratch folder;
    std::mt19937 random(20240601); // NOLINT: the same folders in each run
    const auto pick = [&](std::initializer_list<std::uint32_t> from) {
        return from.begin()[random() % from.size()];
    };
    const auto permissions = [&] { return static_cast<std::uint16_t>(random() % 8); };
    int lists = 0;
    for (int i = 0; i < 400; ++i) {
        const auto each = folder.path() / std::to_string(i);
        std::filesystem::create_directory(each);
        REQUIRE(chown(each.c_str(), pick({1, 64055}), pick({1, 107, 64056})) == 0);
        REQUIRE(chmod(each.c_str(), random() % 0100 | (random() % 2) * 0100) == 0);
        if (i % 4 != 0) {
            std::vector<Entry> list{{0x01, permissions(), nobody_in_particular}};
            if (random() % 2) list.push_back({0x02, permissions(), pick({2, 64055})});
            list.push_back({0x04, permissions(), nobody_in_particular});
            if (random() % 2) list.push_back({0x08, permissions(), pick({2, 107})});
            if (random() % 2) list.push_back({0x08, permissions(), pick({3, 64056})});
            list.push_back({0x10, permissions(), nobody_in_particular});
            list.push_back({0x20, permissions(), nobody_in_particular});
            lists += set_list(each, list);
        }
        CAPTURE(i);
        CHECK(may_pass(each, qemu) == kernel_lets_pass(each, qemu));
    }
    if (lists == 0) WARN("skipped: access control lists; the file system of the temporary folder has none");
}

TEST_CASE("the first folder in the way of a user is found, and the search goes on behind a settled one") {
    Scratch folder;
    const Credentials somebody{12345, {12345}};
    std::filesystem::create_directories(folder / "a/b/c");
    put(folder / "a/b/c/file", "");
    chmod((folder / "a").c_str(), 0711);
    chmod((folder / "a/b").c_str(), 0750);
    chmod((folder / "a/b/c").c_str(), 0700);
    CHECK(first_impassable(folder / "a/b/c/file", somebody) == folder / "a/b");
    CHECK(first_impassable(folder / "a/b", somebody) == folder / "a/b");
    CHECK_FALSE(first_impassable(folder / "a", somebody));
    CHECK_FALSE(first_impassable(folder / "a/b/c/file", {0, {0}}));
    CHECK_FALSE(first_impassable(folder / "absent/file", somebody));

    std::vector<std::filesystem::path> asked;
    const auto all_settled = [&](const std::filesystem::path& one) { return asked.push_back(one), true; };
    CHECK_FALSE(first_impassable(folder / "a/b/c/file", somebody, all_settled));
    CHECK(asked == std::vector{folder / "a/b", folder / "a/b/c"});
    const auto only_b = [&](const std::filesystem::path& one) { return one == folder / "a/b"; };
    CHECK(first_impassable(folder / "a/b/c/file", somebody, only_b) == folder / "a/b/c");

    std::filesystem::create_symlink("a/b", folder / "shortcut");
    chmod((folder / "a/b").c_str(), 0711);
    chmod((folder / "a").c_str(), 0700);
    CHECK(first_impassable(folder / "shortcut", somebody) == folder / "a"); // on the real way
}
