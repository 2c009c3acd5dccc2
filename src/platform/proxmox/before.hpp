// SPDX-License-Identifier: MIT
#pragma once
/// What a note holds: what was there before an action.

#include "platform/platform.hpp"

namespace blockhost::platform::proxmox {

struct Before {
    std::int64_t newest_task = 0;     ///< when the newest of our tasks began; Unix time of the node
    std::vector<std::string> tasks;   ///< those that began in that second
    std::int64_t newest_backup = 0;   ///< of backups alone: the time of the newest with the action's notes
    std::vector<std::string> backups; ///< of backups alone: all of that guest in that storage
    std::string new_guest;            ///< the free id that was found for a new guest
    bool had_snapshot = false;        ///< whether a snapshot of that name was there
};

Note written(const Before& before);
/// What a note of an earlier version does not have is as if nothing had been there. Throws Error{internal}
/// for what is no note.
Before read_note(const Note& note);

} // namespace blockhost::platform::proxmox
