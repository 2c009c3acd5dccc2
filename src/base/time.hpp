// SPDX-License-Identifier: MIT
#pragma once
/// Wall-clock instants in the registry's spelling, and monotonic deadlines.

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// An instant in UTC, to the microsecond.
using Instant = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

Instant now();

/// `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`; the fraction is omitted when it is zero (Python's isoformat).
std::string format_instant(Instant t);
/// Accepts `Z`, any ±HH:MM offset or none (read as UTC), 0 to 9 fraction digits, a blank for `T`, and a date
/// alone. Nothing for anything else, impossible dates included.
std::optional<Instant> parse_instant(std::string_view text);

/// A moment on the monotonic clock at which a wait ends. Every wait has one.
class Deadline {
  public:
    using clock = std::chrono::steady_clock;
    static Deadline in(std::chrono::milliseconds span) { return Deadline(clock::now() + span); }
    bool passed() const { return clock::now() >= at_; }
    /// Never negative.
    std::chrono::milliseconds left() const;
    clock::time_point at() const { return at_; }
    /// The earlier of both.
    Deadline sooner(const Deadline& other) const { return Deadline(std::min(at_, other.at_)); }

  private:
    explicit Deadline(clock::time_point at) : at_(at) {}
    clock::time_point at_;
};

/// `digits` random lower-case hex digits from the kernel's generator.
std::string random_hex(std::size_t digits);
void random_bytes(void* out, std::size_t n);

} // namespace blockhost
