// SPDX-License-Identifier: MIT
// Reads /etc/passwd and /etc/group.
#include "base/accounts.hpp"

#include <cstdio>
#include <grp.h>
#include <memory>
#include <pwd.h>
#include <vector>

namespace blockhost {

namespace {

constexpr const char* qemu_user = "libvirt-qemu";

template<typename Entry, typename Next, typename Look>
void for_each(const char* path, Next next, Look look) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), std::fclose);
    std::vector<char> strings(1 << 18); // a line lists all members of its group
    Entry entry{}, *found = nullptr;
    while (file && next(file.get(), &entry, strings.data(), strings.size(), &found) == 0) look(*found);
}

} // namespace

std::optional<Account> account_named(const std::string& name) {
    std::optional<Account> found;
    for_each<passwd>("/etc/passwd", fgetpwent_r, [&](const passwd& entry) {
        if (!found && name == entry.pw_name) found = Account{entry.pw_uid, entry.pw_gid, entry.pw_dir};
    });
    return found;
}

std::optional<Credentials> qemu_credentials() {
    const auto user = account_named(qemu_user);
    if (!user) return std::nullopt;
    Credentials found{user->uid, {user->gid}};
    for_each<group>("/etc/group", fgetgrent_r, [&](const group& entry) {
        for (char** member = entry.gr_mem; *member != nullptr; ++member)
            if (std::string(qemu_user) == *member) found.groups.push_back(entry.gr_gid);
    });
    return found;
}

std::optional<Account> blockhost_account() {
    return account_named("blockhost");
}

std::optional<gid_t> qemu_group() {
    return group_id(qemu_user);
}

std::optional<gid_t> group_id(const std::string& name) {
    std::optional<gid_t> found;
    for_each<group>("/etc/group", fgetgrent_r, [&](const group& entry) {
        if (!found && name == entry.gr_name) found = entry.gr_gid;
    });
    return found;
}

} // namespace blockhost
