#pragma once
/// Moments that survive a wrong clock: wall-clock time beside the time since this boot, and spans as people
/// write them.

#include "base/time.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// Now, by two clocks. Within one boot the second one counts every second once, sleep included, whatever is
/// done to the first.
struct Moment {
    Instant wall;
    std::string boot; ///< the kernel's id of this boot
    std::chrono::milliseconds since_boot{0};
};
Moment moment_now();

/// A moment to come, `span` after the one it was counted from.
struct LateMoment {
    Instant wall;
    std::string boot;
    std::chrono::milliseconds since_boot{0};
    std::chrono::milliseconds span{0};
    bool operator==(const LateMoment&) const = default;
};
LateMoment after(const Moment& now, std::chrono::milliseconds span);
/// How long until then; never negative. Within its boot the time since boot decides; in a later boot the wall
/// clock, and never more than the whole span: a clock that was wrong keeps nothing forever.
std::chrono::milliseconds left(const LateMoment& then, const Moment& now);

/// "90s", "30m", "12h", "7d": a whole number above zero and one unit; nothing for anything else or what
/// overflows.
std::optional<std::chrono::seconds> parse_span(std::string_view text);

} // namespace blockhost
