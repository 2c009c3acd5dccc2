// SPDX-License-Identifier: MIT
#pragma once
/// Looks at and changes one side of a VM's limits: the running domain, or its definition. For throttle and
/// for the ends of limits; changes happen under the VM's LimitFile.

#include "limits/limits.hpp"
#include "vm/context.hpp"

#include <string>
#include <vector>

namespace blockhost::limits {

CpuWeights weights_of(const World& world);

/// The settings as libvirt shows them. Throws as Observer::tuning.
Settings look_at_limits(World& world, const VmName& name, TuningOf which);

/// The beginning of lines about that side.
std::string side_prefix(TuningOf which);

/// The result of applying limits to one side.
struct Applied {
    Settings reached; ///< the wanted limits that libvirt showed as wanted afterwards
    std::vector<std::string> errors;
};

/// Sets `wanted`, subsystem by subsystem, and looks at the result. Throws when that look fails.
Applied apply_limits(World& world, const VmName& name, TuningOf which, const Settings& wanted,
                     const Settings& current);

} // namespace blockhost::limits
