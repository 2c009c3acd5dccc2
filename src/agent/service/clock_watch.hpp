// SPDX-License-Identifier: MIT
#pragma once
/// Notices that somebody set the wall clock, or that the host slept, by a monotonic clock.

#include "base/time.hpp"

#include <optional>
#include <utility>

namespace blockhost::agent {

class ClockWatch {
  public:
    /// Both clocks now. By how much the wall clock jumped since the last tick, forward or back; nothing: by
    /// less than a minute.
    std::optional<std::chrono::seconds> tick(Instant wall, Deadline::clock::time_point steady) {
        constexpr std::chrono::minutes least(1);
        const auto last = std::exchange(last_, Both{wall, steady});
        if (!last) return std::nullopt;
        const auto by =
            std::chrono::duration_cast<std::chrono::seconds>((wall - last->wall) - (steady - last->steady));
        return std::chrono::abs(by) >= least ? std::optional(by) : std::nullopt;
    }

  private:
    struct Both {
        Instant wall;
        Deadline::clock::time_point steady;
    };
    std::optional<Both> last_;
};

} // namespace blockhost::agent
