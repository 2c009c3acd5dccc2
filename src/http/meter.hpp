// SPDX-License-Identifier: MIT
#pragma once
/// Measures speed: for display, and to detect a stall.

#include "http/manner.hpp"

#include <deque>

namespace blockhost::http {

using Clock = std::chrono::steady_clock;

/// Decides when to report progress, and computes it. The speed is that of the last few seconds.
class Meter {
  public:
    /// Nothing when the last report was less than 200 ms ago.
    std::optional<Progress> look(Clock::time_point now, std::uint64_t done,
                                 std::optional<std::uint64_t> total);
    /// The same, at any time.
    Progress tell(Clock::time_point now, std::uint64_t done, std::optional<std::uint64_t> total);

  private:
    struct Sample {
        Clock::time_point at;
        std::uint64_t done;
    };
    std::deque<Sample> samples_; ///< one per report
};

/// Detects that less than 1 KiB/s arrived for a given time.
class StallWatch {
  public:
    explicit StallWatch(std::chrono::seconds longest) : longest_(longest) {}
    bool is_stalled(Clock::time_point now, std::uint64_t received);

  private:
    std::chrono::seconds longest_;
    std::optional<Clock::time_point> since_;
    std::uint64_t received_then_ = 0;
};

} // namespace blockhost::http
