// SPDX-License-Identifier: MIT
#pragma once
/// What the helper is told, on its standard input: one line of JSON, which src/backup/imgtree.cpp writes.

#include "backup/chunks.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::imgtree {

/// A disk that is reached by NBD: as a socket, or as a file that qemu-nbd serves as long as it is needed.
struct Disk {
    std::string name; ///< "vda": also the export's name behind a socket
    std::string socket = {};
    std::string file = {}, format = {};
    std::string bitmap = {}; ///< the dirty bitmap's; empty: none
    std::uint64_t chunk_bytes = 0;
    std::uint64_t bytes = 0;                  ///< to store: what the export must have
    std::vector<backup::TimedRun> times = {}; ///< to store: the chunks that have data
    bool overlay = false; ///< to fill: it stands on another image, whose content shows where it has none
};

/// A file beside the disks.
struct SmallFile {
    std::string name, content;
};

struct Plan {
    std::vector<Disk> disks;
    int caller = 0; ///< the process that started this one, and with which it ends; 0: not told
    // To store:
    std::string mount_point = {};
    std::string copy_to = {};       ///< a folder for a copy of all, which is shown there then; empty: a mount
    std::uint32_t uid = 0, gid = 0; ///< who may read the tree, and whom the helper becomes
    std::int64_t at = 0;            ///< of the files beside the disks, as TimedRun's
    std::vector<SmallFile> files = {};
};

/// Throws Error{invalid} for what is no plan.
Plan parse_plan(std::string_view text);

} // namespace blockhost::imgtree
