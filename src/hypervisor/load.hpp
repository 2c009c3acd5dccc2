#pragma once
/// Which hypervisor a verb gets, and loading the libvirt module at first need.

#include "config/paths.hpp"
#include "hypervisor/hypervisor.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace blockhost {

/// BLOCKHOST_LIBVIRT_URI, or qemu:///system.
std::string libvirt_uri();

enum class Access { read, write };

/// Connects. `read` tries the read-write socket too (the agent needs it) but makes do with the read-only one.
/// Throws Error{hypervisor_down} when the module or a library of it is missing, or nothing listens (within 2
/// s); Error{no_answer} when a daemon is there but does not answer within 10 s (30 s for one that is being
/// woken by socket activation); in either case within `longest`.
std::unique_ptr<Hypervisor> open_libvirt(const std::string& uri, Access access,
                                         std::chrono::seconds longest = std::chrono::seconds(30));

/// Connects as open_libvirt does, but looks at QEMU on this host through libvirt's protocol itself (rpc/) and
/// loads the module at the first need of it, unless BLOCKHOST_DRIVER says otherwise: "libvirt" has the module
/// do everything, "rpc" has the module do no look that the protocol is for, whatever the daemon answers.
/// Throws as open_libvirt, and Error{config} for another word there and for a uri that "rpc" cannot mean.
std::unique_ptr<Hypervisor> open_direct(const std::string& uri, Access access,
                                        std::chrono::seconds longest = std::chrono::seconds(30));

/// Connects as this process may: directly, as open_direct does; or, for one that is not root and that
/// libvirt refuses to write, looking alone, with changes and guests' agents through the root agent where
/// there is one. Throws as open_direct.
std::unique_ptr<Hypervisor> open_hypervisor(const Paths& paths, Access access,
                                            std::chrono::seconds longest = std::chrono::seconds(30));

/// The little world in folder `world`, made with template, pool and bridge at first need. Arms fault points
/// from BLOCKHOST_FAULT.
std::unique_ptr<Hypervisor> open_simulated(const std::filesystem::path& world);

/// The module's only symbol besides what the loader needs. `failure` is set when nothing is returned.
extern "C" {
using HypervisorMaker = Hypervisor* (*)(const char* uri, bool write, int longest_seconds, Failure* failure);
}
inline constexpr const char* hypervisor_maker_symbol = "blockhost_make_hypervisor";

} // namespace blockhost
