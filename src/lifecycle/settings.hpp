#pragma once
/// What a create reads from configuration and asks of the host before it touches anything.

#include "lifecycle/world.hpp"

namespace blockhost {

struct Settings {
    std::string network_mode;
    EngineManifest engine;
    Web3Defaults web3;
    std::optional<BrokerAllocation> broker;
    Ipv4 gateway;
};

/// Throws Error{config}, {not_found} or {invalid} for whatever would keep `vm` from being made here: network
/// mode, template, its size, bridge, gateway, a folder QEMU cannot walk through.
Settings read_settings(World& world, const VmRequest& vm);

/// The template's real path, where `vm`'s disk is large enough for it. Throws as template_image;
/// Error{invalid}, {config}.
std::filesystem::path template_for(const World& world, const VmRequest& vm);

/// Throws Error{config} when QEMU's user could not walk down to `storage`, or to as much of it as exists.
void require_reachable_by_qemu(const std::filesystem::path& storage);

} // namespace blockhost
