// SPDX-License-Identifier: MIT
/// See undo_snapshot.hpp.

#include "vm/undo_snapshot.hpp"

#include "base/text/text.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "vm/disk_chain.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kind = ".undo-";

std::int64_t seconds_of(Instant t) {
    return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

/// Nothing for what seconds_of would not have written, and beyond the year 9999.
std::optional<Instant> instant_of(std::string_view text) {
    constexpr std::int64_t latest = 253'402'300'799;
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || seconds < 0 || seconds > latest ||
        text != std::to_string(seconds))
        return std::nullopt;
    return Instant(std::chrono::seconds(seconds));
}

/// A file for each VM whose snapshot is being kept, with the overlay's name.
StatePlace half_kept(const World& world) {
    return {world.paths.state, "half-kept"};
}

bool is_ours(const World& world, const VmName& name, const fs::path& file) {
    const auto named = undo_name(file.filename().string());
    return named && named->vm == name && named->operation.of(world.instance) &&
           world.paths.state.is_same(file.parent_path(), world.storage);
}

} // namespace

std::string file_name(const UndoName& name) {
    return fmt::format("{}.{}{}{}-{}", name.vm.str(), name.operation.str(), kind, seconds_of(name.taken),
                       seconds_of(name.until));
}

std::optional<UndoName> undo_name(std::string_view file) {
    const auto at = file.rfind(kind);
    const auto disk = disk_name(file);
    if (at == file.npos || !disk || file.find('.', at + 1) != file.npos) return std::nullopt;
    const auto times = file.substr(at + kind.size());
    const auto dash = times.find('-');
    if (dash == times.npos) return std::nullopt;
    const auto taken = instant_of(times.substr(0, dash)), until = instant_of(times.substr(dash + 1));
    if (!taken || !until) return std::nullopt;
    return UndoName{disk->vm, disk->operation, *taken, *until};
}

std::optional<UndoSnapshot> undo_snapshot_of(const World& world, const Observation& seen) {
    if (!seen.domain) return std::nullopt;
    for (const DiskLayers& disk : disk_layers(seen.domain->xml)) {
        if (disk.files.empty()) continue;
        const fs::path top = disk.files.front();
        if (is_ours(world, seen.name, top)) {
            const std::string file = top.filename().string();
            const auto named = undo_name(file);
            return UndoSnapshot{disk.target, file, named->taken, named->until,
                                is_half_kept(world, seen.name, file)};
        }
        if (std::ranges::any_of(disk.files,
                                [&](const fs::path& file) { return is_ours(world, seen.name, file); }))
            throw Error(
                Code::wrong_state,
                fmt::format("another program's layer {} stands on the undo snapshot of {}",
                            text::printable(top.string()), seen.name.str()),
                fmt::format("bring it down into that first (virsh blockcommit {} {} --active --shallow "
                            "--pivot)",
                            seen.name.str(), disk.target));
    }
    return std::nullopt;
}

std::string layer_below(const World& world, const VmName& name, const std::string& overlay) {
    const auto chain = backing_chain(world.storage / overlay);
    if (!chain.empty() && world.paths.state.is_same(chain.front().parent_path(), world.storage)) {
        const std::string file = chain.front().filename().string();
        if (disk_proof(world, name, file) != DiskProof::none) return file;
    }
    throw Error(Code::wrong_state,
                fmt::format("the snapshot {} stands on no disk of {}", text::printable(overlay), name.str()),
                "see 'qemu-img info --backing-chain' of it");
}

void note_half_kept(const World& world, const VmName& name, const std::string& overlay) {
    const Folder folder = half_kept(world).make(0750);
    folder.replace(name.str(), overlay + "\n", {.mode = 0640, .uid = {}, .gid = {}});
    folder.remove_temporaries(name.str());
}

void forget_half_kept(const World& world, const VmName& name) {
    const auto folder = half_kept(world).open();
    if (!folder) return;
    folder->remove(name.str());
    folder->remove_temporaries(name.str());
}

bool is_half_kept(const World& world, const VmName& name, const std::string& overlay) {
    const auto folder = half_kept(world).open();
    return folder && folder->read(name.str()) == overlay + "\n";
}

} // namespace blockhost
