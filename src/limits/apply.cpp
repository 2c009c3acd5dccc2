// SPDX-License-Identifier: MIT
/// See apply.hpp.

#include "limits/apply.hpp"

#include "host/capability.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::limits {

CpuWeights weights_of(const World& world) {
    if (world.reality == Reality::simulated) return {1, 1024};
    const auto scale = host::cpu_weight_scale();
    return {scale.least, scale.usual};
}

Settings look_at_limits(World& world, const VmName& name, TuningOf which) {
    return settings_of(world.hypervisor().tuning(name.str(), which), weights_of(world));
}

std::string side_prefix(TuningOf which) {
    return which == TuningOf::definition ? "Definition: " : "";
}

Applied apply_limits(World& world, const VmName& name, TuningOf which, const Settings& wanted,
                     const Settings& current) {
    Applied applied;
    std::vector<Subsystem> failed;
    for (const Change& change : plan(wanted, current)) {
        try {
            world.hypervisor().tune(name.str(), change.subsystem, change.tuning, which);
        } catch (const Error& error) {
            applied.errors.push_back(side_prefix(which) + error.message());
            failed.push_back(change.subsystem);
        }
    }
    const Settings after = look_at_limits(world, name, which);
    for (const auto& [limit, setting] : wanted) {
        const auto shown = after.find(limit);
        if (shown != after.end() && shown->second == setting)
            applied.reached[limit] = setting;
        else if (std::ranges::find(failed, row_of(limit).subsystem) == failed.end())
            applied.errors.push_back(
                fmt::format("{}{}: libvirt took {}, but shows {}", side_prefix(which), row_of(limit).title,
                            value_words(limit, setting),
                            shown == after.end() ? "nothing" : value_words(limit, shown->second)));
    }
    return applied;
}

} // namespace blockhost::limits
