// SPDX-License-Identifier: MIT
// Decides like Linux (fs/namei.c acl_permission_check, fs/posix_acl.c posix_acl_permission).
#include "base/files/access.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <endian.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

/// One entry of an access control list as stored in the extended attribute (linux/posix_acl_xattr.h), in the
/// host's byte order.
struct AclEntry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
};
enum AclTag : std::uint16_t {
    owner = 0x01,
    user = 0x02,
    owning_group = 0x04,
    group = 0x08,
    mask = 0x10,
    other = 0x20
};
constexpr std::uint16_t search = 1;
constexpr std::uint32_t acl_version = 2;
constexpr std::size_t acl_header = 4, acl_entry = 8;

bool is_in(const Credentials& who, gid_t gid) {
    return std::find(who.groups.begin(), who.groups.end(), gid) != who.groups.end();
}

/// The list's entries; empty when the folder has no list, or its file system has none.
std::vector<AclEntry> access_list(const fs::path& folder) {
    std::array<char, 8192> bytes{};
    const ssize_t size = getxattr(folder.c_str(), "system.posix_acl_access", bytes.data(), bytes.size());
    if (size < 0 && (errno == ENODATA || errno == ENOTSUP)) return {};
    if (size < 0) throw errno_error("cannot read the access control list of", folder.native(), errno);
    std::uint32_t version = 0;
    std::memcpy(&version, bytes.data(), sizeof version);
    if (static_cast<std::size_t>(size) < acl_header || le32toh(version) != acl_version)
        throw Error(Code::io, folder.native() + " has an access control list of an unknown version");
    std::vector<AclEntry> entries;
    for (std::size_t at = acl_header; at + acl_entry <= static_cast<std::size_t>(size); at += acl_entry) {
        AclEntry entry{};
        std::memcpy(&entry.tag, &bytes[at], 2);
        std::memcpy(&entry.permissions, &bytes[at + 2], 2);
        std::memcpy(&entry.id, &bytes[at + 4], 4);
        entries.push_back({le16toh(entry.tag), le16toh(entry.permissions), le32toh(entry.id)});
    }
    return entries;
}

bool list_lets_pass(const std::vector<AclEntry>& list, const struct stat& folder, const Credentials& who) {
    const auto masked =
        std::find_if(list.begin(), list.end(), [](const AclEntry& e) { return e.tag == mask; });
    const bool mask_lets = masked == list.end() || (masked->permissions & search);
    bool in_a_group = false;
    for (const AclEntry& entry : list) {
        const bool lets = entry.permissions & search;
        switch (entry.tag) {
        case owner:
            if (folder.st_uid == who.uid) return lets;
            break;
        case user:
            if (entry.id == who.uid) return lets && mask_lets;
            break;
        case owning_group:
        case group:
            if (!is_in(who, entry.tag == owning_group ? folder.st_gid : entry.id)) break;
            if (lets) return mask_lets;
            in_a_group = true;
            break;
        case other:
            return lets && !in_a_group;
        default:
            break;
        }
    }
    return false;
}

bool mode_lets_pass(const struct stat& folder, const Credentials& who) {
    if (folder.st_uid == who.uid) return folder.st_mode & S_IXUSR;
    if (is_in(who, folder.st_gid)) return folder.st_mode & S_IXGRP;
    return folder.st_mode & S_IXOTH;
}

using Settled = std::function<bool(const fs::path&)>;

std::optional<fs::path> impassable_along(const fs::path& path, const Credentials& who,
                                         const Settled& settled) {
    fs::path folder;
    std::error_code error;
    for (const auto& part : path) {
        folder /= part;
        const fs::file_status found = fs::status(folder, error);
        if (error || !fs::exists(found)) return std::nullopt;
        if (!fs::is_directory(found) || may_pass(folder, who)) continue;
        if (!settled || !settled(folder)) return folder;
    }
    return std::nullopt;
}

} // namespace

bool may_pass(const fs::path& folder, const Credentials& who) {
    struct stat found {};
    if (stat(folder.c_str(), &found) != 0) throw errno_error("cannot look at", folder.native(), errno);
    if (who.uid == 0) return true;
    // Linux ignores the list when no bit of the group is set: those bits are the list's mask.
    const auto list = found.st_mode & S_IRWXG ? access_list(folder) : std::vector<AclEntry>{};
    return list.empty() ? mode_lets_pass(found, who) : list_lets_pass(list, found, who);
}

std::optional<fs::path> first_impassable(const fs::path& path, const Credentials& who,
                                         const Settled& settled) {
    const fs::path spelled = fs::absolute(path).lexically_normal();
    if (auto found = impassable_along(spelled, who, settled)) return found;
    std::error_code unresolvable; // then only the spelling counts
    const fs::path real = fs::weakly_canonical(spelled, unresolvable);
    if (unresolvable || real == spelled) return std::nullopt;
    return impassable_along(real, who, settled);
}

void let_pass(const Folder& folder, std::optional<gid_t> group) {
    const bool given = group && fchown(folder.fd(), static_cast<uid_t>(-1), *group) == 0;
    if (fchmod(folder.fd(), given ? 0710 : 0711) != 0)
        throw errno_error("cannot set the mode of", folder.path().native(), errno);
}

} // namespace blockhost
