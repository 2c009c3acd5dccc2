#include "lifecycle/veto.hpp"
#include "base/json.hpp"
namespace blockhost {
void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since) {
    Folder::open_or_make(world.paths.suspended, 0750)
        .replace(name.str(),
                 json::python_line(boost::json::object{
                     {"instance", world.instance.str()}, {"uuid", uuid}, {"since", format_instant(since)}}),
                 {.mode = 0640, .uid = {}, .gid = {}});
}
void allow_start(World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.suspended);
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}
bool start_forbidden(const World& world, const VmName& name) {
    const auto folder = Folder::open(world.paths.suspended);
    return folder && folder->kind(name.str()) == Folder::Kind::file;
}
} // namespace blockhost
