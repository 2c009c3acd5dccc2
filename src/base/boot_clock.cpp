// SPDX-License-Identifier: MIT
// CLOCK_BOOTTIME, the kernel's boot id, and parsing of spans.
#include "base/boot_clock.hpp"

#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <ctime>

namespace blockhost {

namespace chrono = std::chrono;

chrono::milliseconds time_since_boot() {
    timespec since{};
    clock_gettime(CLOCK_BOOTTIME, &since);
    return chrono::duration_cast<chrono::milliseconds>(chrono::seconds(since.tv_sec) +
                                                       chrono::nanoseconds(since.tv_nsec));
}

Moment moment_now() {
    const auto id = files::read("/proc/sys/kernel/random/boot_id", 4096).value_or("");
    return {now(), std::string(text::trim(id)), time_since_boot()};
}

LateMoment after(const Moment& now, chrono::milliseconds span) {
    return {now.wall + span, now.boot, now.since_boot + span, span};
}

chrono::milliseconds left(const LateMoment& then, const Moment& now) {
    const auto rest = then.boot == now.boot
                          ? then.since_boot - now.since_boot
                          : chrono::duration_cast<chrono::milliseconds>(then.wall - now.wall);
    return std::clamp<chrono::milliseconds>(rest, chrono::milliseconds(0), then.span);
}

std::optional<chrono::seconds> parse_span(std::string_view written) {
    constexpr std::int64_t most = 1'000'000'000;
    if (written.size() < 2) return std::nullopt;
    const auto number = text::parse_int(written.substr(0, written.size() - 1));
    if (!number || *number < 1 || *number > most) return std::nullopt;
    switch (written.back()) {
    case 's':
        return chrono::seconds(*number);
    case 'm':
        return chrono::minutes(*number);
    case 'h':
        return chrono::hours(*number);
    case 'd':
        return chrono::hours(24 * *number);
    default:
        return std::nullopt;
    }
}

} // namespace blockhost
