// SPDX-License-Identifier: MIT
#pragma once
/// Whether a guest that should run and does not is started again. Decides, and does nothing.

#include "execution/operation.hpp"

#include <chrono>
#include <span>

namespace blockhost::execution {

struct HealingRules {
    /// A guest is off for that long before it counts as crashed: one that restarts is off for a moment.
    std::chrono::seconds off_for{10};
    /// Between one start and the next one; doubled with each, up to `longest`.
    std::chrono::seconds between{30}, longest{900};
    unsigned most_starts = 5; ///< in a row; then a person has to look
    /// A guest that ran for that long did not crash in a row.
    std::chrono::seconds steady{600};
};

/// What is remembered of one guest between looks. It outlives this process: a crash loop is one across
/// restarts of the agent, too.
struct Episode {
    platform::Incarnation incarnation = {};
    unsigned starts = 0; ///< in a row
    std::optional<Instant> last_start = {}, running_since = {}, off_since = {};
    bool given_up =
        false; ///< it was reported, and is left alone until it runs again, or an operator stops it
    bool operator==(const Episode&) const = default;
};

/// One look at one guest.
struct Sight {
    bool should_run = false;
    /// As it was read; nothing when it could not be, or is not there.
    std::optional<platform::Guest> guest;
    bool stopped_on_purpose = false; ///< somebody switched it off, and nobody wanted it on since
    bool is_busy = false;            ///< an operation on it has not ended
};

/// What to do about a guest.
struct Healing {
    enum class Do {
        nothing,
        wait,  ///< it is off, and not started yet: `why`
        start, ///< now; the episode has it counted, and must be on disk before
        report ///< once: it is not started any more
    } act = Do::nothing;
    std::string why;                 ///< one clause; empty for `nothing`
    std::optional<Instant> due = {}; ///< of `wait`
};

/// Decides, and keeps the episode. Nothing follows from a guest that was not read.
Healing heal(Episode& episode, const Sight& sight, const HealingRules& rules, Instant now);

/// Whether the newest of the operations that switch a guest on or off switched it off; false when there is
/// none. `newest_first`: those of the guest's id.
bool was_switched_off(std::span<const Operation> newest_first, const platform::Incarnation& incarnation);

} // namespace blockhost::execution
