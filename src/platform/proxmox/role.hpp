// SPDX-License-Identifier: MIT
#pragma once
/// The role of the API token: which privileges each feature needs, what a token lacks, and the commands that
/// make such a token. The facts are those of the API's own permission checks (the API viewer's "Required
/// permissions"; qemu-server, src/PVE/API2/Qemu.pm; pve-storage, src/PVE/Storage.pm, check_volume_access).

#include "platform/platform.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace blockhost::platform::proxmox {

/// The privileges that a token really has on one path, and whether each holds below that path, too.
using Privileges = std::map<std::string, bool, std::less<>>;

/// Where features are used. An empty storage is not used, nor is what needs it.
struct RoleScope {
    std::string node, backup_storage, disk_storage;
};

/// 9 of "9.2.11"; nothing for another text.
std::optional<int> major_version(std::string_view version);

/// What lacks for the features of this client on a node of that version: a Lack for each privilege that a
/// feature needs and the token does not have, and one for a version that is not supported. `held` tells of a
/// path, and is asked once for each.
std::vector<Lack> lacks_of(std::string_view version, const RoleScope& scope,
                           const std::function<Privileges(const std::string& path)>& held);

/// A text for the admin: the commands of a shell on a node of Proxmox VE `major` that make role, user, token
/// and access. Nothing runs them but he. Throws Error{invalid} for another version than 8 and 9.
std::string role_commands(int major);

} // namespace blockhost::platform::proxmox
