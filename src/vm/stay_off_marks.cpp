// SPDX-License-Identifier: MIT
/// See stay_off_marks.hpp.

#include "vm/stay_off_marks.hpp"

#include "hypervisor/files/start_veto.hpp"

namespace blockhost {

void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since) {
    const Folder folder = world.paths.suspended.make(0750);
    folder.replace(name.str(), render_start_veto({world.instance, uuid, since}),
                   {.mode = 0640, .uid = {}, .gid = {}});
    folder.remove_temporaries(name.str());
}

void allow_start(World& world, const VmName& name) {
    const auto folder = world.paths.suspended.open();
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}

bool start_forbidden(const World& world, const VmName& name) {
    const auto folder = world.paths.suspended.open();
    const auto veto = folder ? read_start_veto(*folder, name) : std::nullopt;
    return veto && veto->instance == world.instance;
}

} // namespace blockhost
