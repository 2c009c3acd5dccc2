// SPDX-License-Identifier: MIT
#pragma once
/// What is remembered of a VM's last drill: whether its backup came up.

#include "base/time.hpp"
#include "config/paths.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>

namespace blockhost::backup {

struct LastDrill {
    std::string snapshot; ///< the backup's id
    Instant taken_at;     ///< the backup
    Instant at;           ///< the drill's end
    bool passed = false;
    std::string reason = {}; ///< why it did not pass
    /// Whole seconds: filling the disk, until the agent answered, the checks.
    std::int64_t restore_s = 0, boot_s = 0, check_s = 0;
    bool operator==(const LastDrill&) const = default;
};

/// Nothing when there was none. Throws Error{invalid} for what cannot be read.
std::optional<LastDrill> read_last_drill(const Paths& paths, const VmName& vm);
/// Replaces it, durably: `<state>/backup/drills/NAME.json`.
void write_last_drill(const Paths& paths, const VmName& vm, const LastDrill& drill);

} // namespace blockhost::backup
