// SPDX-License-Identifier: MIT
#pragma once
/// The way back out of a repository: a backup's disks as images in a folder, with what else the backup holds.

#include "backup/catalogue.hpp"
#include "backup/manifest.hpp"

#include <filesystem>
#include <functional>

namespace blockhost::backup {

/// The manifest of a backup, which anybody may have written who can write to the repository: it has to be of
/// the VM and operation that the repository's list names. Throws Error{invalid}, as parse_manifest.
Manifest manifest_of(const Restic& restic, const Backup& backup);

/// How many bytes of a disk have data.
std::uint64_t data_bytes(const ManifestDisk& disk);

/// Makes the folder `to`, and in it an image for each disk ("vda.qcow2", standing on nothing), and the
/// backup's other files. Every chunk that the manifest names comes exactly once, with its size; otherwise,
/// and when it fails or is interrupted, the folder is removed again. Throws Error{exists} when there is
/// something of that name; Error{no_room} before anything is written; Error{invalid} for a backup that lacks
/// a chunk, or has what is none.
void extract(const Restic& restic, const Backup& backup, const Manifest& manifest,
             const std::filesystem::path& to, const std::function<void()>& check);

} // namespace blockhost::backup
