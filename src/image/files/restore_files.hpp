// SPDX-License-Identifier: MIT
#pragma once
/// Single files and folders out of a backup. The VM is not touched, and need not be there; libvirt is not
/// asked.

#include "backup/extract.hpp"
#include "base/interrupt.hpp"
#include "image/files/appliance.hpp"
#include "image/files/unpack.hpp"
#include "vm/context.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace blockhost::image {

struct FilesRequest {
    std::vector<std::string> paths; ///< as require_paths returns them
    std::filesystem::path to;
};

/// The paths in their plain form: "/etc//hosts/" is "/etc/hosts". Throws Error{invalid} for one that is not
/// absolute, climbs, or is the root, and where one lies within another; Error{usage} for more than a hundred.
std::vector<std::string> require_paths(const std::vector<std::string>& given);

/// Restores the paths below the folder `to`, "/etc/hosts" as `to`/etc/hosts. The folder is made, for root
/// alone; one that is there has to be empty, and its owner gets the files. What is in a folder comes as
/// unpack has it. `deliver` is told how much was restored, before it is put in its place: what it throws
/// leaves nothing.
///
/// The disk is restored into root's cache, on its template where that is present, looked into there, and
/// removed. What a killed run left there, the next one removes. On failure nothing is left in `to` either;
/// a killed run leaves what it had in `to`/part_name, which the next one that is given that folder removes.
///
/// Throws Error{exists} for a folder that is not empty; Error{not_found} when the folder around it is
/// missing, and for a path that the backup does not have; Error{no_room} before anything is restored;
/// Error{busy} while another run is under way; as copy_out and fill_disk.
void restore_files(World& world, const backup::Restic& restic, const backup::Backup& backup,
                   const FilesRequest& request, const Interruption& interruption,
                   const std::function<void(const Unpacked&)>& deliver);

/// Holds what is not complete.
inline constexpr const char* part_name = ".blockhost-restore.part";

} // namespace blockhost::image
