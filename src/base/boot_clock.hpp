// SPDX-License-Identifier: MIT
#pragma once
/// Moments that survive a wrong clock: each holds the wall-clock time and the time since this boot. Also
/// spans as people write them.

#include "base/time.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// Now, by two clocks. Within one boot `since_boot` counts every second once, sleep included, even when the
/// wall clock is set.
struct Moment {
    Instant wall;
    std::string boot; ///< the kernel's id of this boot
    std::chrono::milliseconds since_boot{0};
};
Moment moment_now();
/// Moment::since_boot alone.
std::chrono::milliseconds time_since_boot();

/// A moment to come, `span` after the moment it was counted from.
struct LateMoment {
    Instant wall;
    std::string boot;
    std::chrono::milliseconds since_boot{0};
    std::chrono::milliseconds span{0};
    bool operator==(const LateMoment&) const = default;
};
LateMoment after(const Moment& now, std::chrono::milliseconds span);
/// How long until `then`; never negative. Within the boot of `then` the time since boot decides. In a later
/// boot the wall clock does, but never beyond the whole span: a wrong clock cannot delay it forever.
std::chrono::milliseconds left(const LateMoment& then, const Moment& now);

/// Parses "90s", "30m", "12h", "7d": a whole number above zero and one unit. Nothing for anything else, or
/// for a number that is too large.
std::optional<std::chrono::seconds> parse_span(std::string_view written);

} // namespace blockhost
