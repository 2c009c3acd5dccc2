// SPDX-License-Identifier: MIT
/// See work.hpp.

#include "operations/snapshot/work.hpp"

#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/xml/disk.hpp"
#include "operations/bring_up.hpp"
#include "operations/configure.hpp"
#include "safety/isolation.hpp"
#include "safety/planted_files.hpp"
#include "safety/start.hpp"
#include "vm/cleanup.hpp"
#include "vm/disk_chain.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr auto patience_with_the_guest = 25s;

bool is_file(const SnapshotWork& work, const std::filesystem::path& path, const std::string& file) {
    return path.filename() == file && work.world.paths.state.is_same(path.parent_path(), work.world.storage);
}

/// The one disk of the VM, as its create made it.
std::string own_disk(const World& world, const Observation& seen) {
    if (seen.proof != Proof::mark)
        throw Error(Code::wrong_state,
                    seen.name.str() + " was made by another provisioner, and is not adopted",
                    "'blockhost-libvirt gc --execute' adopts what can be adopted");
    if (seen.facts.disks.size() > 1)
        throw Error(Code::wrong_state,
                    fmt::format("{} has {} disks, and a snapshot would bring back one of them",
                                seen.name.str(), seen.facts.disks.size()),
                    "detach the others first");
    const std::string file = first_disk(world, seen).filename().string();
    if (!operation_of_volume(seen.name, file))
        throw Error(Code::wrong_state,
                    fmt::format("the disk of {} is a layer that another program put there: {}",
                                seen.name.str(), file),
                    "bring it down into the disk first (virsh blockcommit --active --pivot)");
    return file;
}

} // namespace

void require_snapshot_is_possible(World& world, const Observation& seen) {
    if (const auto there = undo_snapshot_of(world, seen))
        throw Error(
            Code::exists,
            fmt::format("{} has an undo snapshot already, of {}", seen.name.str(),
                        format_instant(there->taken)),
            fmt::format("'blockhost-libvirt snapshot keep {0}' or 'blockhost-libvirt snapshot undo {0}' "
                        "ends that one",
                        seen.name.str()));
    require_not_saved(world, seen);
    safety::require_nothing_planted(world, seen.domain->xml);
}

SnapshotWork work_for(World& world, const Observation& seen, const std::string& overlay) {
    SnapshotWork work{world, seen.name, seen.domain->uuid, "", overlay, own_disk(world, seen)};
    for (const DiskLayers& disk : disk_layers(seen.domain->xml))
        if (!disk.files.empty() && disk.files.front() == seen.facts.disks.front()) work.target = disk.target;
    if (work.hypervisor().block_job(work.vm(), work.target))
        throw Error(Code::wrong_state, "libvirt is at work on the disk of " + work.vm(),
                    fmt::format("let it end, or 'virsh blockjob {} {} --abort'", work.vm(), work.target));
    return work;
}

SnapshotWork work_on(World& world, const Observation& seen) {
    const auto snapshot = undo_snapshot_of(world, seen);
    if (!snapshot)
        throw Error(Code::not_found, seen.name.str() + " has no undo snapshot",
                    "'blockhost-libvirt snapshot list' shows those there are");
    const bool is_replaced = !snapshot->replaced.empty();
    return {world,
            seen.name,
            seen.domain->uuid,
            snapshot->target,
            snapshot->file,
            is_replaced ? snapshot->replaced : layer_below(world, seen.name, snapshot->file),
            is_replaced};
}

boost::json::object to_json(const SnapshotWork& work) {
    return {{"uuid", work.uuid},
            {"target", work.target},
            {"overlay", work.overlay},
            {"lower", work.lower},
            {"replaced", work.is_replaced}};
}

std::optional<SnapshotWork> work_left(World& world, const Observation& seen, const EntryView& left) {
    const auto text = [&](std::string_view key) { return json::string_or(left.parameters, key, ""); };
    SnapshotWork work{world,
                      seen.name,
                      text("uuid"),
                      text("target"),
                      text("overlay"),
                      text("lower"),
                      json::is_true(left.parameters, "replaced")};
    const auto named = undo_name(work.overlay);
    const bool is_own_name = work.is_replaced ? operation_of_volume(seen.name, work.overlay).has_value()
                                              : named && named->vm == seen.name;
    const bool is_proved = seen.domain && seen.proof == Proof::mark && seen.domain->uuid == work.uuid &&
                           is_own_name && disk_name(work.overlay)->operation.of(world.instance) &&
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

bool has_overlay(const SnapshotWork& work) {
    const DiskSides upper = sides_with(work, work.overlay), lower = sides_with(work, work.lower);
    if (upper.defined && !lower.elsewhere) return true;
    if (upper.elsewhere) return define_disk(work, work.overlay), true;
    if (upper.defined) define_disk(work, work.lower); // it was started meanwhile, with the disk as it was
    return false;
}

void power_off_with(const SnapshotWork& work, const std::string& file) {
    if (sides_with(work, file).any()) work.hypervisor().power_off(work.vm());
}

void switch_disk(const SnapshotWork& work, const std::string& file, std::string_view during) {
    define_disk(work, file);
    if (sides_with(work, file == work.overlay ? work.lower : work.overlay).any())
        throw Error(Code::wrong_state, fmt::format("{} was started while {}", work.vm(), during),
                    "try again");
}

bool start_again(const SnapshotWork& work) {
    World& world = work.world;
    const Observation now = observe(world, work.name);
    if (verdict_of(now.state, Verb::start).kind != Verdict::Kind::run) { // suspended since, in a recovery
        world.progress.warn(
            fmt::format("{} is {}, and is not started again", work.vm(), to_string(now.state)));
        return false;
    }
    safety::place_routes(world, now);
    safety::guard_definition(world, now);
    Interruption never;
    never.ignore_from_now();
    bring_up(world, now, Look::twice, within(world.end, patience_with_the_guest), never);
    return true;
}

void start_after_failure(const SnapshotWork& work) {
    try {
        const auto state = work.hypervisor().state(work.vm());
        if (state && !is_alive(*state)) start_again(work);
    } catch (const Error& error) {
        work.world.progress.warn(fmt::format("{} is off: {}", work.vm(), error.message()));
    }
}

namespace {

void delete_file(const SnapshotWork& work, const std::string& file) {
    if (sides_with(work, file).any())
        throw Error(Code::hypervisor, fmt::format("{} still has the disk {}", work.vm(), file),
                    fmt::format("look at 'virsh domblklist {}'", work.vm()));
    blockhost::delete_disks(work.world, work.name, {file});
    forget_half_kept(work.world, work.name);
    forget_replaced_disk(work.world, work.name);
}

} // namespace

void delete_overlay(const SnapshotWork& work) {
    delete_file(work, work.overlay);
}

void delete_lower(const SnapshotWork& work) {
    delete_file(work, work.lower);
}

} // namespace blockhost::operations
