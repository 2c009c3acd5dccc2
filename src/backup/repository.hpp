// SPDX-License-Identifier: MIT
#pragma once
/// This host's repository: set up once, and opened by what was set up.

#include "backup/catalogue.hpp"
#include "backup/repositories/restic.hpp"
#include "backup/settings.hpp"

namespace blockhost::backup {

/// The repository that `<etc>/backup.json` names, by the password in root's file. Looks at neither restic nor
/// repository. Throws as require_settings and require_password; Error{config} when restic's user is missing.
Restic open_repository(const Paths& paths, const std::function<void()>& check);

/// The repository that `settings` name, by that password, whether or not this host has one. Throws
/// Error{invalid} as require_address; Error{config} when restic's user is missing.
Restic open_repository_at(const Paths& paths, const Settings& settings, const std::string& password,
                          const std::function<void()>& check);

/// The folder in root's cache over which a backup's helper mounts what restic reads, in a mount namespace of
/// its own.
std::filesystem::path make_mount_point(const Paths& paths);

/// An empty folder of a VM's own for a copy of what would be shown there, as View::copy_to. Throws
/// Error{no_room} unless its file system has room for so much.
std::filesystem::path make_copy_folder(const Paths& paths, const VmName& vm, std::uint64_t bytes);
/// May be repeated.
void remove_copy_folder(const Paths& paths, const VmName& vm);

/// Throws Error{foreign} when the repository at the address is another than the one that was set up, as after
/// another disk was mounted in its place.
void require_same_repository(const Restic& restic, const Settings& settings);

struct SetupRequest {
    std::string repository;
    std::string user = std::string(usual_user);
    std::optional<std::string> password = {}; ///< of a repository that is there; nothing: one is made up
};

struct SetupEnd {
    Settings settings;
    std::string password;
    enum class What { made, joined, was_there } what = What::made;
    std::string slow_key = {}; ///< why each start of restic takes longer than it needs to; empty: it does not
};

/// Makes the repository, or joins one that is there and that has no other host's backups in it, and writes
/// down address and password. What a death leaves of it, a repeat finishes. Throws Error{exists} when another
/// repository was set up before; Error{foreign} for one that has another host's backups in it: whoever can
/// write to a repository can read all of it.
SetupEnd set_up(const Paths& paths, const InstanceId& instance, const SetupRequest& request,
                const std::function<void()>& check);

} // namespace blockhost::backup
