#pragma once
/// What a create reads from configuration and asks of the host before it touches anything.

#include "lifecycle/world.hpp"

namespace blockhost {

struct Settings {
    std::string network_mode;
    std::filesystem::path backing; ///< the template's real path
    EngineManifest engine;
    Web3Defaults web3;
    std::optional<BrokerAllocation> broker;
    Ipv4 gateway;
};

/// The real path of the image that new VMs' disks stand on. Throws Error{not_found}, {config}.
std::filesystem::path template_image(const Paths& paths);

/// Throws Error{config}, {not_found} or {invalid} for whatever would keep `vm` from being made here: network
/// mode, template, its size, bridge, gateway, a folder QEMU cannot walk through.
Settings read_settings(World& world, const VmRequest& vm);

} // namespace blockhost
