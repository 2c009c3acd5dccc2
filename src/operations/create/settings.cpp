// SPDX-License-Identifier: MIT
/// Reading a create's settings, and checking that they fit the host.

#include "operations/create/settings.hpp"

#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "safety/planted_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::operations {

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
    const std::string& bridge = world.config.bridge;
    if (world.network->is_bridge(bridge) && !world.network->is_up(bridge))
        throw Error(Code::config, fmt::format("the bridge {} is down: no VM on it could be reached", bridge),
                    fmt::format("ip link set {} up", bridge));
    if (world.network->is_bridge(bridge)) return;
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

void check_login_is_free(const Paths& paths, const VmRequest& vm, const std::filesystem::path& image) {
    if (template_accounts(paths, image).count(vm.username.str()) == 0) return;
    throw Error(
        Code::invalid,
        fmt::format("--username: the template has a user or group '{}' already, so that no login could "
                    "be made under that name",
                    vm.username.str()),
        "choose another name");
}

} // namespace

void require_reachable_by_qemu(const Paths& paths, const std::vector<std::filesystem::path>& folders,
                               host::Way way) {
    for (const auto& folder : folders) {
        const auto blocked = host::blocked_for_qemu(folder, paths.state, way);
        if (!blocked) continue;
        const bool roots_to_open = geteuid() != 0 && host::is_within(*blocked, paths.state.string());
        throw Error(Code::config,
                    fmt::format("QEMU's user cannot reach {}: it may not pass through {}", folder.string(),
                                blocked->string()),
                    roots_to_open ? "run 'blockhost-libvirt setup storage' as root, which opens it"
                                  : fmt::format("chmod o+x {}", blocked->string()));
    }
}

std::filesystem::path template_for(const World& world, const VmRequest& vm) {
    auto image = template_image(world.paths);
    check_disk_size(vm, image);
    check_login_is_free(world.paths, vm, image);
    return image;
}

std::filesystem::path former_template(const World& world, const std::string& version) {
    const auto image = version.empty() ? std::nullopt : template_version(world.paths, version);
    if (!image) return {};
    if (geteuid() == 0) safety::require_template(world, *image);
    return *image;
}

Settings read_settings(World& world, const VmRequest& vm, host::Way way, DiskFrom disk_from) {
    world.hypervisor(); // fails first when it cannot be reached; the simulated one makes its template
    Web3Defaults web3 = read_web3_defaults(world.paths);
    if (!web3.found)
        world.progress.warn(
            fmt::format("{} is missing; the defaults are used", world.paths.web3_defaults().string()));
    Settings settings{read_network_mode(world.paths), read_engine_manifest(world.paths), web3,
                      read_broker_allocation(world.paths), gateway_of(world)};
    if (disk_from == DiskFrom::the_template) template_for(world, vm); // looked up again when the disk is made
    check_bridge(world);
    if (world.reality == Reality::real)
        require_reachable_by_qemu(
            world.paths, {world.storage, world.paths.templates.string(), world.paths.cloud_init.string()},
            way);
    return settings;
}

} // namespace blockhost::operations
