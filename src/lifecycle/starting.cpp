/// See starting.hpp.

#include "lifecycle/starting.hpp"

namespace blockhost {

namespace {

/// Nothing when it has no address that is known.
std::optional<host::Placement> placement_of(const World& world, const Observation& seen) {
    const auto mac = seen.facts.macs.empty() ? std::nullopt : Mac::try_parse(seen.facts.macs.front());
    if (!mac || !seen.record || !seen.record->ip) return std::nullopt;
    const std::string bridge = seen.facts.bridge.empty() ? world.config.bridge : seen.facts.bridge;
    return host::Placement{bridge, *mac, *seen.record->ip, seen.record->ipv6};
}

} // namespace

void place_routes(World& world, const Observation& seen) {
    const auto placement = placement_of(world, seen);
    if (!placement) return;
    for (const std::string& problem : world.network->place(seen.name, *placement)) world.talk.warn(problem);
}

void guard_port(World& world, const Observation& seen) {
    const auto placement = placement_of(world, seen);
    if (!placement) return;
    for (const std::string& problem : world.network->guard_port(seen.name, *placement))
        world.talk.warn(problem);
}

void ensure_filters(World& world, const Observation& seen) {
    if (!seen.facts.mark) return;
    for (const FilterKind kind : {FilterKind::ipv4, FilterKind::ipv4_and_ipv6}) {
        const std::string name = filter_name(kind, world.paths.is_default_root, world.instance);
        if (seen.domain->xml.find("'" + name + "'") != std::string::npos)
            world.hypervisor().ensure_filter(name, render_filter(kind, name));
    }
}

void bring_up(World& world, const Observation& seen) {
    Hypervisor& hypervisor = world.hypervisor();
    const std::string& name = seen.name.str();
    switch (hypervisor.state(name).value_or(PowerState::off)) {
    case PowerState::running:
        return;
    case PowerState::paused:
        hypervisor.unpause(name);
        return;
    case PowerState::crashed:
        hypervisor.power_off(name);
        break;
    default:
        break;
    }
    hypervisor.start(name);
    guard_port(world, seen);
}

void keep_off(World& world, const VmName& name) {
    Folder::open_or_make(world.paths.kept_off, 0750)
        .replace(name.str(), format_instant(now()) + "\n", {.mode = 0640, .uid = {}, .gid = {}});
}

void keep_off_no_more(World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.kept_off);
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}

void forget_half_kept_off(World& world, const VmName& name) {
    if (const auto folder = Folder::open(world.paths.kept_off)) folder->remove_temporaries(name.str());
}

bool is_kept_off(const World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.kept_off);
    return folder && folder->kind(name.str()) == Folder::Kind::file;
}

} // namespace blockhost
