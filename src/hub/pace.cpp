// SPDX-License-Identifier: MIT
#include "hub/pace.hpp"

#include <algorithm>

namespace blockhost::hub {

namespace {

constexpr std::chrono::seconds shortest(10), longest(3600), longest_asked(6 * 3600);

Pace::Span part(std::chrono::seconds whole, double factor) {
    return Pace::Span(static_cast<std::int64_t>(static_cast<double>(Pace::Span(whole).count()) * factor));
}

} // namespace

Pace::Pace(std::chrono::seconds poll, std::function<double()> random)
    : poll_(std::clamp(poll, least_poll, most_poll)), random_(std::move(random)) {}

Pace::Span Pace::first() {
    return part(poll_, random_() / 10);
}

Pace::Span Pace::after_success(const std::optional<std::chrono::seconds>& poll) {
    failures_ = 0;
    if (poll) poll_ = std::clamp(*poll, least_poll, most_poll);
    // A range of the same width at the bounds: who is clamped there still has a moment of its own.
    constexpr double half = 0.1, width = 0.2;
    const double middle = poll_ < least_poll * (1 + half)  ? 1 + half
                          : poll_ > most_poll * (1 - half) ? 1 - half
                                                           : 1;
    return std::clamp(part(poll_, middle - half + width * random_()), Span(least_poll), Span(most_poll));
}

Pace::Span Pace::after_failure(std::chrono::seconds asked) {
    constexpr int most_doublings = 9;
    const auto whole = std::min(shortest * (1 << std::min(failures_, most_doublings)), longest);
    ++failures_;
    const Span own = part(whole, 0.5 + random_() / 2);
    const auto wait = std::clamp(asked, std::chrono::seconds(0), longest_asked);
    // Those that were told the same time do not come at the same moment either.
    return own >= wait ? own : wait + part(wait, random_() / 10);
}

} // namespace blockhost::hub
