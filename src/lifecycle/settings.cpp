/// Reading a create's settings, and checking that they fit the host.

#include "lifecycle/settings.hpp"

#include "base/text.hpp"
#include "config/templates.hpp"
#include "host/capability.hpp"
#include "hypervisor/qcow2.hpp"

#include <fmt/format.h>

namespace blockhost {

namespace {

constexpr std::uint64_t gib = 1ull << 30;

Ipv4 gateway_of(const World& world) {
    if (world.config.ipv4.gateway) return *world.config.ipv4.gateway;
    if (auto address = world.network->address_of(world.config.bridge)) return *address;
    throw Error(Code::config,
                fmt::format("Cannot determine gateway: db.yaml has no ip_pool.gateway and {} no IPv4 address",
                            world.config.bridge),
                "set ip_pool.gateway in " + world.paths.db_yaml().string());
}

void check_bridge(const World& world) {
    if (world.network->is_bridge(world.config.bridge)) return;
    throw Error(Code::config, fmt::format("{} is not a bridge on this host", world.config.bridge),
                "set bridge in " + world.paths.db_yaml().string() + " to the one VMs shall use");
}

void check_disk_size(const VmRequest& vm, const std::filesystem::path& backing) {
    const std::uint64_t least = qcow2_virtual_size(backing);
    if (static_cast<std::uint64_t>(vm.disk_gib) * gib >= least) return;
    throw Error(
        Code::invalid,
        fmt::format("--disk {} is smaller than the template's {}", vm.disk_gib, text::human_bytes(least)),
        fmt::format("give at least --disk {}", (least + gib - 1) / gib));
}

} // namespace

void require_reachable_by_qemu(const std::filesystem::path& storage) {
    const auto qemu = host::qemu_account();
    if (!qemu) return;
    std::error_code error;
    std::filesystem::path deepest = storage;
    while (!std::filesystem::exists(deepest, error) && deepest.has_relative_path())
        deepest = deepest.parent_path();
    const auto blocked = files::first_untraversable(deepest, qemu->uid, qemu->gid);
    if (blocked)
        throw Error(Code::config,
                    fmt::format("QEMU's user cannot reach the disks: {} may not be traversed by others",
                                blocked->string()),
                    fmt::format("chmod o+x {}", blocked->string()));
}

std::filesystem::path template_for(const World& world, const VmRequest& vm) {
    auto image = template_image(world.paths);
    check_disk_size(vm, image);
    return image;
}

Settings read_settings(World& world, const VmRequest& vm) {
    world.hypervisor(); // said first when it cannot be reached; the simulated one makes its template
    Web3Defaults web3 = read_web3_defaults(world.paths);
    if (!web3.found)
        world.talk.warn(
            fmt::format("{} is missing; the defaults are used", world.paths.web3_defaults().string()));
    Settings settings{read_network_mode(world.paths), read_engine_manifest(world.paths), web3,
                      read_broker_allocation(world.paths), gateway_of(world)};
    template_for(world, vm); // found again when the disk is made
    check_bridge(world);
    if (world.reality == Reality::real) require_reachable_by_qemu(world.storage);
    return settings;
}

} // namespace blockhost
