// SPDX-License-Identifier: MIT
#pragma once
/// What is remembered of a VM's last backup: which snapshot it is, and when each chunk was last stored anew.
/// Losing it costs one full read of the disks, and never a backup.

#include "backup/chunks.hpp"
#include "config/paths.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>
#include <vector>

namespace blockhost::backup {

struct LastDisk {
    std::string name;
    std::uint64_t bytes = 0, chunk_bytes = 0;
    std::string
        stamp; ///< of its file, while the VM is off: as long as it is the same, nobody wrote to the disk
    std::vector<TimedRun> times;
    bool operator==(const LastDisk&) const = default;
};

struct LastRun {
    std::string repository_id, snapshot;
    Uuid uuid;           ///< of the VM: a later namesake is another
    std::int64_t at = 0; ///< the latest time of a chunk, in nanoseconds since 1970
    std::vector<LastDisk> disks;
    /// The checkpoint that records what was written since, and libvirt's description of it; empty: none.
    std::string checkpoint = {}, checkpoint_xml = {};
    bool operator==(const LastRun&) const = default;

    const LastDisk* disk(const std::string& name) const;
};

/// The last run in `repository_id` of the VM with that name and uuid. Nothing when there is none; `why` then
/// says why what is there cannot be used, and is empty where nothing is there.
std::optional<LastRun> read_last_run(const Paths& paths, const VmName& vm, const Uuid& uuid,
                                     const std::string& repository_id, std::string& why);
/// The checkpoint that the last run of whichever VM has that name left; empty where nothing is remembered, or
/// nothing that can be read.
std::string remembered_checkpoint(const Paths& paths, const VmName& vm);
/// Replaces it, durably; the VM's journal entry is the caller's. The folder is `<state>/backup`, for this
/// process's user alone: whoever could write there could have a changed chunk left out.
void write_last_run(const Paths& paths, const VmName& vm, const LastRun& run);

/// The time of a run that begins at `now`: later than every time of the last, whatever the clock did since.
std::int64_t time_of_run(std::int64_t now, const std::optional<LastRun>& last);

} // namespace blockhost::backup
