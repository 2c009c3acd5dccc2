// SPDX-License-Identifier: MIT
#pragma once
/// Calls of the helper that shows frozen disks as folders of chunk files (imgtree/main.cpp).

#include "backup/chunks.hpp"
#include "base/accounts.hpp"
#include "base/process.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace blockhost::backup {

/// A disk that nobody writes: an image of this host, or what a socket serves by NBD under the disk's name.
struct FrozenDisk {
    std::string name; ///< its target: "vda"
    std::filesystem::path file = {};
    std::filesystem::path socket = {}; ///< empty: the file is read
    std::string bitmap = {};           ///< the record of what was written since the last backup; empty: none
    std::string format = "qcow2";
    std::uint64_t chunk_bytes = 0; ///< 0: as the disk's size has it
    std::uint64_t bytes = 0;       ///< for a view: as the look said
    std::vector<TimedRun> times;   ///< for a view: the chunks that have data
    bool overlay = false;          ///< to fill: it stands on another image, and only what differs is written
};

struct DiskLook {
    std::string name;
    std::uint64_t bytes = 0, chunk_bytes = 0;
    std::vector<ChunkLook> looks; ///< the whole disk, ascending
};

/// What the disks hold. `check` is called at least every 200 ms, and may throw. Throws Error{program} when
/// the helper is missing or answers otherwise than expected; Error{io} with its words when a disk cannot be
/// read, as when another process writes it.
std::vector<DiskLook> look(const std::vector<FrozenDisk>& disks, const std::function<void()>& check);

/// What a program is shown.
struct View {
    std::vector<FrozenDisk> disks;
    std::vector<std::pair<std::string, std::string>> files; ///< names and contents of files beside the disks
    std::int64_t at = 0;                                    ///< these files' time, as TimedRun's
    std::filesystem::path mount_point;  ///< the same for each backup; a folder that is there
    std::optional<Account> user;        ///< who may read it; nothing: root
    std::filesystem::path copy_to = {}; ///< an empty folder on a file system with room for all; empty: none
};

/// Whether this host can show a folder of the helper's making (/dev/fuse). Where it cannot, all of a disk's
/// data has to be copied into one first.
bool can_mount_views();

/// How `inside` is run in the view's folder: its input, output and exit status stay its own.
ProcessSpec within_view(const View& view, ProcessSpec inside);

/// The way back: how empty images of the view's disks are filled from the tar archive of such a folder that
/// `inside` prints. Nothing but the chunks that the view names is written, and all of them, or it fails.
ProcessSpec filling(const View& view, ProcessSpec inside);

/// What the helper itself says of a run that failed; empty when it went well, or when the program within
/// failed.
std::string helper_words(const ProcessResult& result);

} // namespace blockhost::backup
