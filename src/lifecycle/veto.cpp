/// See veto.hpp.

#include "lifecycle/veto.hpp"

#include "hypervisor/start_veto.hpp"

namespace blockhost {

void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since) {
    const Folder folder = Folder::open_or_make(world.paths.suspended, 0750);
    folder.replace(name.str(), render_start_veto({world.instance, uuid, since}),
                   {.mode = 0640, .uid = {}, .gid = {}});
    folder.remove_temporaries(name.str());
}

void allow_start(World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.suspended);
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}

bool start_forbidden(const World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.suspended);
    const auto veto = folder ? read_start_veto(*folder, name) : std::nullopt;
    return veto && veto->instance == world.instance;
}

} // namespace blockhost
