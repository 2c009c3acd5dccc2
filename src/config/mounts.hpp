// SPDX-License-Identifier: MIT
#pragma once
/// The file systems that the instance's folders lie on. When a folder has a file system of its own that is
/// not mounted, the folder must be reported missing, not made anew: files made on the bare mount point would
/// be hidden after the mount, and until then the real files would seem gone.

#include "config/config.hpp"
#include "config/paths.hpp"

#include <filesystem>
#include <vector>

namespace blockhost {

/// The topmost folder on the file system of `path`, or of its nearest existing parent. A bind mount of the
/// same file system does not count. Throws Error{io} when a folder on the way cannot be looked at.
std::filesystem::path mount_point_of(const std::filesystem::path& path);

/// Notes the file systems of `folders`, other than the state folder's own, in <state>/mounts.json. Writes
/// nothing when there are none, or all are noted already.
void note_mounts(const Paths& paths, const std::vector<std::filesystem::path>& folders);

/// Throws Error{io} when a noted file system is not mounted.
void require_mounted(const Paths& paths);

/// Throws Error{registry} when the folder that db.yaml names for the VM database, outside of the state
/// folder, is missing: a database that cannot be reached must not count as empty.
void require_database_folder(const DbConfig& config, const Paths& paths);

} // namespace blockhost
