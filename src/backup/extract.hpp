// SPDX-License-Identifier: MIT
#pragma once
/// The way back out of a repository: a backup's disks as images in a folder, with what else the backup holds.

#include "backup/catalogue.hpp"
#include "backup/manifest.hpp"
#include "backup/record.hpp"

#include <filesystem>
#include <functional>

namespace blockhost::backup {

/// The manifest of a backup, which anybody may have written who can write to the repository: it has to be of
/// the VM and operation that the repository's list names. Throws Error{invalid}, as parse_manifest.
Manifest manifest_of(const Repository& repository, const Backup& backup);

/// What a backup says of its VM, which has to be the one that the repository's list names. Throws
/// Error{invalid}, as parse_record.
Record record_of(const Repository& repository, const Backup& backup);

/// A file beside the disks, of at most `most` bytes; nothing when the backup has none of that name.
std::optional<std::string> small_file(const Repository& repository, const Backup& backup,
                                      const std::string& name, std::size_t most);

/// How many bytes of a disk have data.
std::uint64_t data_bytes(const ManifestDisk& disk);

/// Makes the folder `to`, and in it an image for each disk ("vda.qcow2", standing on nothing), and the
/// backup's other files. Every chunk that the manifest names comes exactly once, with its size; otherwise,
/// and when it fails or is interrupted, the folder is removed again. Throws Error{exists} when there is
/// something of that name; Error{no_room} before anything is written; Error{invalid} for a backup that lacks
/// a chunk, or has what is none.
void extract(const Restic& restic, const Backup& backup, const Manifest& manifest,
             const std::filesystem::path& to, const std::function<void()>& check);

/// Makes an empty qcow2 image, on `base` (qcow2, too) or, where that is empty, on nothing. Throws
/// Error{program} when qemu-img is missing; Error{io}.
void make_image(const std::filesystem::path& image, std::uint64_t bytes, const std::filesystem::path& base);

/// Fills `image`, an empty qcow2 image as large as the backup's one disk, with that disk. `stands_on`: on
/// nothing, or on another image, of whatever content, of which then only what differs is stored. Every chunk
/// comes exactly once, with its size, or it fails, and the image is of no use. `check` is called at least
/// every 200 ms, and may throw.
enum class StandsOn { nothing, another_image };
void fill_disk(const Repository& repository, const Backup& backup, const Manifest& manifest,
               const std::filesystem::path& image, StandsOn stands_on, const std::function<void()>& check);

} // namespace blockhost::backup
