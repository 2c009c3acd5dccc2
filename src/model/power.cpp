// SPDX-License-Identifier: MIT
// Which reasons mean a passing state, and which mean trouble.
#include "model/power.hpp"

#include <algorithm>
#include <array>

namespace blockhost {

bool is_passing(const Power& power) {
    constexpr std::array<std::string_view, 7> passing{
        "migrating", "saving", "dumping", "shutting down", "creating snapshot", "starting up", "post-copy"};
    if (power.state == PowerState::stopping) return true;
    return power.state == PowerState::paused && std::ranges::find(passing, power.reason) != passing.end();
}

bool is_trouble(const Power& power) {
    constexpr std::array<std::string_view, 5> held{reason::io_error, "watchdog", "crashed",
                                                   "post-copy failed", "api error"};
    if (power.state == PowerState::crashed) return true;
    if (power.state == PowerState::off) return power.reason == "crashed" || power.reason == "failed";
    return power.state == PowerState::paused && std::ranges::find(held, power.reason) != held.end();
}

} // namespace blockhost
