#pragma once
/// Speed: what is shown of it, and when there is too little.

#include "http/client.hpp"

#include <deque>

namespace blockhost::http {

using Clock = std::chrono::steady_clock;

/// When to tell progress, and what. The speed is that of the last few seconds.
class Meter {
  public:
    /// Nothing when the last telling was less than 200 ms ago.
    std::optional<Progress> look(Clock::time_point now, std::uint64_t done,
                                 std::optional<std::uint64_t> total);
    /// The same, whenever that was.
    Progress tell(Clock::time_point now, std::uint64_t done, std::optional<std::uint64_t> total);

  private:
    struct Sample {
        Clock::time_point at;
        std::uint64_t done;
    };
    std::deque<Sample> samples_; ///< one a telling
};

/// Tells when less than 1 KiB/s arrived for a given time.
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
