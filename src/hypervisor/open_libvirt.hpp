// SPDX-License-Identifier: MIT
#pragma once
/// Libvirt through its library, in the module.

#include "hypervisor/hypervisor.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace blockhost {

enum class Access { read, write };

/// Connects. `read` tries the read-write socket too (the agent needs it) but makes do with the read-only one.
/// Throws Error{hypervisor_down} when the module or a library of it is missing, or nothing listens (within 2
/// s); Error{no_answer} when a daemon is there but does not answer within 10 s (30 s for one that is being
/// woken by socket activation); in either case within `longest`.
std::unique_ptr<Hypervisor> open_libvirt(const std::string& uri, Access access,
                                         std::chrono::seconds longest = std::chrono::seconds(30));

} // namespace blockhost
