#pragma once
/// One side of one VM's limits, what runs or what is defined: looked at, and changed. For throttle and for
/// the ends of limits; under the VM's LimitFile.

#include "lifecycle/limits.hpp"
#include "lifecycle/world.hpp"

#include <string>
#include <vector>

namespace blockhost {

CpuWeights weights_of(const World& world);

/// The settings as libvirt shows them. Throws as Observer::tuning.
Settings look_at_limits(World& world, const VmName& name, TuningOf which);

/// How lines about that side begin.
std::string side_prefix(TuningOf which);

/// What one side was brought to.
struct Applied {
    Settings reached; ///< of the wanted limits, those that libvirt showed as wanted afterwards
    std::vector<std::string> errors;
};

/// Sets `wanted`, subsystem by subsystem, and looks what came of it. Throws when that look fails.
Applied apply_limits(World& world, const VmName& name, TuningOf which, const Settings& wanted,
                     const Settings& current);

} // namespace blockhost
