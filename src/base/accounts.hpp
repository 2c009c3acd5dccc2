// SPDX-License-Identifier: MIT
#pragma once
/// The system's own users and groups, from its user database files: no name service is asked.

#include "base/files/access.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace blockhost {

struct Account {
    uid_t uid;
    gid_t gid;
    std::string home; ///< absolute, as the database has it; there need not be such a folder
};
/// A user by name; nothing when there is none.
std::optional<Account> account_named(const std::string& name);
/// The user that QEMU runs as (libvirt-qemu) with all of the groups that libvirt gives it; nothing when there
/// is no such user.
std::optional<Credentials> qemu_credentials();
/// The blockhost user.
std::optional<Account> blockhost_account();
/// The group of QEMU's user (libvirt-qemu), for files that only it may read; nothing when there is none.
std::optional<gid_t> qemu_group();
/// A group's id by name.
std::optional<gid_t> group_id(const std::string& name);

} // namespace blockhost
