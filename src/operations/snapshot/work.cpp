// SPDX-License-Identifier: MIT
/// See work.hpp.

#include "operations/snapshot/work.hpp"

#include "base/text/json.hpp"
#include "hypervisor/xml/disk.hpp"
#include "vm/cleanup.hpp"
#include "vm/disk_chain.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

bool is_file(const SnapshotWork& work, const std::filesystem::path& path, const std::string& file) {
    return path.filename() == file && work.world.paths.state.is_same(path.parent_path(), work.world.storage);
}

} // namespace

SnapshotWork work_on(World& world, const Observation& seen) {
    const auto snapshot = undo_snapshot_of(world, seen);
    if (!snapshot)
        throw Error(Code::not_found, seen.name.str() + " has no undo snapshot",
                    "'blockhost-libvirt snapshot list' shows those there are");
    return {world,
            seen.name,
            seen.domain->uuid,
            snapshot->target,
            snapshot->file,
            layer_below(world, seen.name, snapshot->file)};
}

boost::json::object to_json(const SnapshotWork& work) {
    return {{"uuid", work.uuid}, {"target", work.target}, {"overlay", work.overlay}, {"lower", work.lower}};
}

std::optional<SnapshotWork> work_left(World& world, const Observation& seen, const EntryView& left) {
    const auto text = [&](std::string_view key) { return json::string_or(left.parameters, key, ""); };
    SnapshotWork work{world, seen.name, text("uuid"), text("target"), text("overlay"), text("lower")};
    const auto named = undo_name(work.overlay);
    const bool is_proved = seen.domain && seen.proof == Proof::mark && seen.domain->uuid == work.uuid &&
                           named && named->vm == seen.name && named->operation.of(world.instance) &&
                           operation_of_volume(seen.name, work.lower) &&
                           disk_proof(world, seen.name, work.lower) == DiskProof::ours;
    if (!is_proved) return std::nullopt;
    return work;
}

void require_not_saved(World& world, const Observation& seen) {
    if (!is_alive(seen.domain->state) && !world.hypervisor().other_definitions(seen.name.str()).empty())
        throw Error(Code::wrong_state,
                    "the memory of " + seen.name.str() + " is saved, and knows its disk as it is now",
                    "start it first");
}

DiskSides sides_with(const SnapshotWork& work, const std::string& file) {
    DiskSides sides;
    const auto view = work.hypervisor().find(work.vm());
    if (!view || view->uuid != work.uuid) return sides;
    sides.defined = is_file(work, file_of_disk(view->xml, work.target), file);
    for (const std::string& xml : work.hypervisor().other_definitions(work.vm()))
        sides.elsewhere |= is_file(work, file_of_disk(xml, work.target), file);
    return sides;
}

void define_disk(const SnapshotWork& work, const std::string& file) {
    work.hypervisor().set_disk(work.vm(), work.target, work.path_of(file).string());
    if (!sides_with(work, file).defined)
        throw Error(
            Code::hypervisor,
            fmt::format("libvirt says that it changed the disk of {}, whose definition says otherwise",
                        work.vm()),
            fmt::format("look at 'virsh dumpxml --inactive {}'", work.vm()));
}

void delete_overlay(const SnapshotWork& work) {
    if (sides_with(work, work.overlay).any())
        throw Error(Code::hypervisor, fmt::format("{} still has the disk {}", work.vm(), work.overlay),
                    fmt::format("look at 'virsh domblklist {}'", work.vm()));
    blockhost::delete_disks(work.world, work.name, {work.overlay});
    forget_half_kept(work.world, work.name);
}

} // namespace blockhost::operations
