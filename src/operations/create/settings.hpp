// SPDX-License-Identifier: MIT
#pragma once
/// What a create reads from the configuration and asks of the host before it touches anything.

#include "host/reach.hpp"
#include "vm/context.hpp"

namespace blockhost::operations {

struct Settings {
    std::string network_mode;
    EngineManifest engine;
    Web3Defaults web3;
    std::optional<BrokerAllocation> broker;
    Ipv4 gateway;
};

/// Where the content of a new VM's disk comes from.
enum class DiskFrom { the_template, elsewhere };

/// Throws Error{config}, {not_found} or {invalid} for anything that would keep `vm` from being made here:
/// network mode, template, its size, bridge, gateway, a folder that QEMU's user cannot pass. `way` says
/// whether such a folder of BlockHost's is opened. A disk from elsewhere needs no template.
Settings read_settings(World& world, const VmRequest& vm, host::Way way, DiskFrom disk_from);

/// The template's real path. Throws Error{invalid} or {config} when `vm`'s disk is too small for it, or when
/// it has an account with the login's name; throws as template_image.
std::filesystem::path template_for(const World& world, const VmRequest& vm);

/// The template's version of that name, if a disk can stand on it; else empty. `version` may be outside text.
/// For root it has to be root's alone: throws as safety::require_template.
std::filesystem::path former_template(const World& world, const std::string& version);

/// Throws Error{config} when QEMU's user could not walk down to each of `folders`, or to as much of it as
/// exists. `way` says whether BlockHost's own folders are opened first (host::blocked_for_qemu).
void require_reachable_by_qemu(const Paths& paths, const std::vector<std::filesystem::path>& folders,
                               host::Way way);

} // namespace blockhost::operations
