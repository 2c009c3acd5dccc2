// SPDX-License-Identifier: MIT
/// See start.hpp.

#include "safety/start.hpp"

#include "host/reach.hpp"
#include "safety/planted_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::safety {

/// An installer or an admin may have closed the folders: libvirt would say "Permission denied".
void open_way_to_disks(World& world, const DomainFacts& facts) {
    if (world.reality != Reality::real) return;
    for (const auto* files : {&facts.disks, &facts.seeds})
        for (const std::string& file : *files) {
            const auto folder = std::filesystem::path(file).parent_path();
            const auto blocked = host::blocked_for_qemu(folder, world.paths.state, host::Way::open);
            if (blocked)
                world.progress.warn(
                    fmt::format("QEMU's user may not pass through {}, where {} is", blocked->string(), file));
        }
}

void start_domain(World& world, const VmName& name) {
    Hypervisor& hypervisor = world.hypervisor();
    if (const auto view = geteuid() == 0 ? hypervisor.find(name.str()) : std::nullopt;
        view && !is_alive(view->state))
        require_nothing_planted(world, view->xml);
    hypervisor.start(name.str());
}

void keep_off(World& world, const VmName& name) {
    world.paths.kept_off.make(0750).replace(name.str(), format_instant(now()) + "\n",
                                            {.mode = 0640, .uid = {}, .gid = {}});
}

void keep_off_no_more(World& world, const VmName& name) {
    const auto folder = world.paths.kept_off.open();
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}

void forget_half_kept_off(World& world, const VmName& name) {
    if (const auto folder = world.paths.kept_off.open()) folder->remove_temporaries(name.str());
}

bool is_kept_off(const World& world, const VmName& name) {
    const auto folder = world.paths.kept_off.open();
    return folder && folder->kind(name.str()) == Folder::Kind::file;
}

} // namespace blockhost::safety
