// SPDX-License-Identifier: MIT
#pragma once
/// Where backups go: `<etc>/backup.json`, and the repository's password in a file of root's alone.

#include "backup/policies.hpp"
#include "config/paths.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace blockhost::backup {

/// The system's user that restic runs as where this program runs as root.
inline constexpr std::string_view usual_user = "blockhost-backup";

struct Settings {
    std::string repository;    ///< its address
    std::string repository_id; ///< what restic calls the repository at that address
    std::string user = std::string(usual_user);
    Policies policies = {};
    std::string key = {}; ///< the id of the repository's key that opens it soonest; empty: any
    bool operator==(const Settings&) const = default;
};

std::filesystem::path settings_file(const Paths& paths);
std::filesystem::path password_file(const Paths& paths);

/// Throws Error{invalid} for an address that is none of an absolute path, sftp:…, rest:… or rclone:…, and for
/// one with a password in it, which every user of the host could read in the list of processes.
void require_address(const std::string& repository);

/// Whether such an address is a folder of this host's.
bool is_local(std::string_view repository);

/// Nothing when no repository was set up. Throws Error{config} for a file that cannot be read or is wrong.
std::optional<Settings> read_settings(const Paths& paths);
/// What that file says of policies, on a host whose backups are in no repository: there it has "version" and
/// the policies' members alone. The usual ones when there is no such file. Throws Error{config}.
Policies read_policies(const Paths& paths);
/// Throws Error{config} when no repository was set up.
Settings require_settings(const Paths& paths);
/// Replaces the file durably; what the policies say is the admin's to write, and is not in it.
void write_settings(const Paths& paths, const Settings& settings);

/// Nothing when there is no file. Throws Error{config} when it is empty, cannot be read, or others may read
/// or write it.
std::optional<std::string> read_password(const Paths& paths);
/// A missing password is an error: nothing is ever stored in the clear. Throws Error{config}.
std::string require_password(const Paths& paths);
/// Makes the file, for its owner alone. Throws Error{exists} when there is one.
void write_password(const Paths& paths, const std::string& password);

} // namespace blockhost::backup
