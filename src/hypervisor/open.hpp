// SPDX-License-Identifier: MIT
#pragma once
/// Which hypervisor a verb gets, and loading the libvirt module at first need.

#include "config/paths.hpp"
#include "hypervisor/open_libvirt.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace blockhost {

/// BLOCKHOST_LIBVIRT_URI, or qemu:///system.
std::string libvirt_uri();

/// Connects as open_libvirt does, but looks at QEMU on this host through libvirt's protocol itself (rpc/) and
/// loads the module at the first need of it, unless BLOCKHOST_DRIVER says otherwise: "libvirt" has the module
/// do everything, "rpc" has the module do no look that the protocol is for, whatever the daemon answers.
/// Throws as open_libvirt, and Error{config} for another word there and for a uri that "rpc" cannot mean.
std::unique_ptr<Hypervisor> open_direct(const std::string& uri, Access access,
                                        std::chrono::seconds longest = std::chrono::seconds(30));

/// Connects as this process may: directly, as open_direct does; or, for one that is not root and that
/// libvirt refuses to write, looking alone, with changes and guests' agents through the root agent where
/// there is one. Throws as open_direct; the Error{denied} of one who wants to write and finds no root agent
/// says that too.
std::unique_ptr<Hypervisor> open_hypervisor(const Paths& paths, Access access,
                                            std::chrono::seconds longest = std::chrono::seconds(30));

/// The little world in folder `world`, made with template, pool and bridge at first need. Arms fault points
/// from BLOCKHOST_FAULT.
std::unique_ptr<Hypervisor> open_simulated(const std::filesystem::path& world);

} // namespace blockhost
