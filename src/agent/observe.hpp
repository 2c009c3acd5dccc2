// SPDX-License-Identifier: MIT
#pragma once
/// One look at a host: what a plan is made of.

#include "agent/desired.hpp"

#include <functional>

namespace blockhost::agent {

/// Whether wanted storage is mounted where it is wanted.
struct SeenStorage {
    std::optional<bool> is_mounted; ///< nothing: the platform mounts none, or it could not be seen
    std::string unreadable;         ///< why it could not be seen; empty: it could
};

struct Observed {
    platform::Host host;
    /// By id. One that could not be read says why, and nothing follows from what else it says.
    std::map<platform::GuestId, platform::Guest> guests;
    /// Why more guests may exist than are seen; empty: these are all. While it is not empty, nothing follows
    /// from a guest's absence.
    std::string doubt;
    /// By its name; of what is wanted alone.
    std::map<std::string, SeenStorage> storage = {};
};

/// Looks at the host, its list of guests, and, one after another, at guests whose whole configuration is
/// needed: those that `desired` names, listed or not, or all that are listed. `each` is called before each of
/// these looks with how many are done and how many there are in all; it may throw. A guest that cannot be
/// read is unreadable; once the platform did not answer three times in a row, it is asked no more. Throws
/// when the host or the list cannot be had, or the platform cannot be reached.
Observed observe(platform::Platform& platform, const platform::Host& host, const Desired& desired,
                 const std::function<void(std::size_t, std::size_t)>& each = {});
Observed observe_all(platform::Platform& platform,
                     const std::function<void(std::size_t, std::size_t)>& each = {});

} // namespace blockhost::agent
