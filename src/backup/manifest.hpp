// SPDX-License-Identifier: MIT
#pragma once
/// What a backup says of itself: the file manifest.json in each snapshot. With it and the repository alone a
/// VM comes back, on any host.

#include "backup/chunks.hpp"
#include "base/time.hpp"
#include "model/names.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// In which state the disks were held fast.
enum class Consistency {
    frozen, ///< the guest's file systems were frozen
    crash,  ///< as after a loss of power
    off,    ///< the VM was off
};
std::string_view to_string(Consistency consistency);

struct ManifestDisk {
    std::string name; ///< the disk's target in the domain: "vda"
    std::uint64_t bytes = 0, chunk_bytes = 0;
    ChunkSet chunks; ///< those that have a file
    bool operator==(const ManifestDisk&) const = default;
};

struct Manifest {
    VmName vm;
    Uuid uuid;
    std::string instance, operation;
    Instant taken_at;
    Consistency consistency = Consistency::crash;
    std::string base = {}; ///< the version of the template that the disk stood on; empty: none, or not known
    std::vector<ManifestDisk> disks;
    std::string made_by; ///< version of this program
};

/// The largest text that is written or read.
inline constexpr std::size_t largest_manifest = 64u << 20;

std::string render(const Manifest& manifest);

/// Reads one that anybody may have written. Throws Error{invalid}, naming `name` and what is wrong: unknown
/// members, another format, a disk's name that is no target ("../x"), twice the same disk, sizes beyond
/// bounds or that are no whole sectors, chunks that are not ascending or lie behind the disk's end.
Manifest parse_manifest(std::string_view text, std::string_view name);

} // namespace blockhost::backup
