// SPDX-License-Identifier: MIT
#pragma once
/// What a disk of the simulated world holds: a text for each cluster that was written, behind the clusters of
/// its image, where no reader of qcow2 looks.

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace blockhost::simulated {

inline constexpr std::uint64_t cluster_bytes = 65536;

/// By their numbers. An empty text, and on a disk that stands on nothing one that is missing, is zeros.
using Clusters = std::map<std::uint64_t, std::string>;
/// Which clusters were written since it was made; nothing: QEMU has it in memory, or ended before it was
/// written to the image, and it is inconsistent.
using Bitmap = std::optional<std::set<std::uint64_t>>;
using Bitmaps = std::map<std::string, Bitmap>; ///< by their names

struct DiskContent {
    Clusters clusters;
    Bitmaps bitmaps;
};

/// Of that file alone; empty for an image that nobody wrote to. Throws Error{io}.
DiskContent read_content(const std::filesystem::path& image);
/// At once, and synced. The file is made when there is none. Throws likewise.
void write_content(const std::filesystem::path& image, const DiskContent& content);
/// As they stand in files.
boost::json::object to_json(const Bitmaps& bitmaps);
Bitmaps bitmaps_in(const boost::json::object& object);
/// What a reader of the image sees: its own clusters, and those of what it stands on. Throws also as
/// backing_chain.
Clusters read_clusters(const std::filesystem::path& image);
/// Writes what `overlay` holds into the image that it stands on.
void commit_content(const std::filesystem::path& overlay);

} // namespace blockhost::simulated
