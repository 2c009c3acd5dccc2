// SPDX-License-Identifier: MIT
#pragma once
/// Whether this host can run VMs, and what it has and lacks: findings, never errors.

#include "vm/context.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::setup {

struct Finding {
    std::string_view what;   ///< "bridge"
    bool ok = false;         ///< false: missing, or not usable as it is
    std::string found = {};  ///< what is there, or what is wrong
    std::string advice = {}; ///< what to do about it; empty when ok
};

bool all_ok(const std::vector<Finding>& findings);

/// What the libvirt driver needs: its module, libvirt's client libraries, a daemon's socket. Looks only at
/// files: loads nothing and connects to nothing.
std::vector<Finding> look_for_driver(Reality reality);

/// What a create needs besides, and whether libvirtd asks the start veto. Connects to libvirt only when
/// `driver_works`.
std::vector<Finding> look_at_host(const Paths& paths, Reality reality, bool driver_works);

} // namespace blockhost::setup
