#pragma once
/// Whether VMs could be run here, and what there is and is not: findings, never errors.

#include "lifecycle/world.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

struct Finding {
    std::string_view what;   ///< "bridge"
    bool ok = false;         ///< false: missing, or not usable as it is
    std::string found = {};  ///< what is there, or what is wrong
    std::string advice = {}; ///< what to do about it; empty when ok
};

bool all_ok(const std::vector<Finding>& findings);

/// Without what the libvirt driver cannot work: its module, libvirt's client libraries, a daemon's socket.
/// Looks at files alone: nothing is loaded, nobody is connected to.
std::vector<Finding> look_for_driver(Reality reality);

/// What a create would need besides, and whether libvirtd asks the start veto. Connects to libvirt for the
/// storage pool when `driver_works`.
std::vector<Finding> look_at_host(const Paths& paths, Reality reality, bool driver_works);

} // namespace blockhost
