// SPDX-License-Identifier: MIT
#pragma once
/// How long to wait for one thing when a deadline ends all waits together, and the pause of all waits.

#include "base/time.hpp"

#include <ctime>
#include <functional>

namespace blockhost {

/// `span`, or the time left until `end` when that is less; never less than a second, which is enough for most
/// calls. Defined in this header because the libvirt module needs it too, and does not link base.
inline std::chrono::milliseconds within(const std::optional<Deadline>& end, std::chrono::milliseconds span) {
    constexpr std::chrono::milliseconds shortest(1000);
    if (!end) return span;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end->at() - Deadline::clock::now());
    return std::min(span, std::max(left, shortest));
}

/// Waits for `span`. `check` is called at the beginning, at least every 100 ms, as soon as a signal was noted
/// (base/interrupt.hpp), and at the end; it throws to end the wait, which nothing else ends.
inline void pause_for(std::chrono::milliseconds span, const std::function<void()>& check = {}) {
    using std::chrono::nanoseconds;
    constexpr nanoseconds longest_deaf = std::chrono::milliseconds(100);
    for (const auto end = Deadline::in(span);;) {
        if (check) check();
        const nanoseconds left = end.at() - Deadline::clock::now();
        if (left <= nanoseconds(0)) return;
        const timespec slice{0, std::min(left, longest_deaf).count()};
        nanosleep(&slice, nullptr); // a noted signal ends it early
    }
}

} // namespace blockhost
