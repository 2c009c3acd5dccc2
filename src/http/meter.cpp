// SPDX-License-Identifier: MIT
// Arithmetic of speed.
#include "http/meter.hpp"

#include <cmath>

namespace blockhost::http {

namespace {

constexpr auto telling_every = std::chrono::milliseconds(200);
constexpr auto speed_over = std::chrono::seconds(5);
constexpr double longest_told_seconds = 1e6;

} // namespace

std::optional<Progress> Meter::look(Clock::time_point now, std::uint64_t done,
                                    std::optional<std::uint64_t> total) {
    if (!samples_.empty() && now - samples_.back().at < telling_every) return std::nullopt;
    return tell(now, done, total);
}

Progress Meter::tell(Clock::time_point now, std::uint64_t done, std::optional<std::uint64_t> total) {
    if (!samples_.empty() && done < samples_.back().done) samples_.clear(); // started anew
    samples_.push_back({now, done});
    while (samples_.size() > 2 && now - samples_.front().at > speed_over) samples_.pop_front();

    Progress progress{.done = done, .total = total, .bytes_per_second = 0, .left = {}};
    const Sample& oldest = samples_.front();
    const double seconds = std::chrono::duration<double>(now - oldest.at).count();
    if (seconds > 0) progress.bytes_per_second = static_cast<double>(done - oldest.done) / seconds;
    if (total == done) progress.left = std::chrono::seconds(0);
    if (!total || *total <= done || progress.bytes_per_second <= 0) return progress;
    const double left = std::ceil(static_cast<double>(*total - done) / progress.bytes_per_second);
    if (left <= longest_told_seconds) progress.left = std::chrono::seconds(static_cast<long>(left));
    return progress;
}

bool StallWatch::is_stalled(Clock::time_point now, std::uint64_t received) {
    constexpr std::uint64_t least_per_second = 1024;
    const auto least = least_per_second * static_cast<std::uint64_t>(longest_.count());
    if (!since_ || received - received_then_ >= least) {
        since_ = now;
        received_then_ = received;
        return false;
    }
    return now - *since_ >= longest_;
}

} // namespace blockhost::http
