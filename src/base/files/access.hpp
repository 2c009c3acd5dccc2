// SPDX-License-Identifier: MIT
#pragma once
/// What the kernel lets another user do with folders.

#include <filesystem>
#include <functional>
#include <optional>
#include <sys/types.h>
#include <vector>

namespace blockhost {

/// What the kernel checks about a process when it decides about files: its user and all of its groups.
struct Credentials {
    uid_t uid = 0;
    std::vector<gid_t> groups; ///< primary and supplementary
};

/// Whether a process with these credentials and no capabilities may pass through the folder, by the folder's
/// mode and access control list (acl(5), path_permission in Linux's fs/namei.c). Root may. Throws Error{io}
/// when the folder cannot be looked at.
bool may_pass(const std::filesystem::path& folder, const Credentials& who);

/// The first folder on the way down to `path`, or `path` itself, that `who` may not pass through; nothing
/// when `who` may pass through all. Checks both the path as spelt and the real path. The search ends at what
/// does not exist or this process may not look at. `settled` is asked about each impassable folder, and may
/// open it: when it returns true, the search goes on behind that folder.
std::optional<std::filesystem::path>
first_impassable(const std::filesystem::path& path, const Credentials& who,
                 const std::function<bool(const std::filesystem::path&)>& settled = {});

class Folder;
/// Lets only members of `group` pass through the folder (0710). Without a group, or when the group may not be
/// given to the folder, lets everybody pass (0711). Only the owner can list it. Throws Error{io} when the
/// mode cannot be set.
void let_pass(const Folder& folder, std::optional<gid_t> group);

} // namespace blockhost
