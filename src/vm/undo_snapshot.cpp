// SPDX-License-Identifier: MIT
/// See undo_snapshot.hpp.

#include "vm/undo_snapshot.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "vm/disk_chain.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fmt/format.h>

namespace blockhost {

namespace {

namespace bj = boost::json;
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

namespace {

constexpr std::int64_t format = 1, any = std::int64_t(1) << 62;
constexpr std::string_view suffix = ".json";

StatePlace notes(const World& world) {
    return {world.paths.state, "replaced"};
}

std::string note_name(const VmName& name) {
    return name.str() + std::string(suffix);
}

Instant instant_in(json::Fields& fields, std::string_view key) {
    const auto at = parse_instant(fields.text(key));
    if (!at) throw fields.refusal(key, "is no time");
    return *at;
}

ReplacedDisk parse(const std::string& text, const std::string& name) {
    const bj::value document = json::parse_strictly(text, name, {.bytes = 4u << 10, .depth = 2});
    json::Fields fields(document, name);
    if (fields.integer("format", 0, any) != format) throw fields.refusal("format", "is another version's");
    ReplacedDisk disk{fields.text("file"), fields.text("by"), instant_in(fields, "taken"),
                      instant_in(fields, "until")};
    fields.finish();
    return disk;
}

bool is_disk_of(const World& world, const VmName& name, const std::string& file) {
    const auto operation = operation_of_volume(name, file);
    const auto storage = world.storage_folder();
    return operation && operation->of(world.instance) && storage && storage->kind(file) == Folder::Kind::file;
}

} // namespace

void note_replaced_disk(const World& world, const VmName& name, const ReplacedDisk& disk) {
    const bj::object document{{"format", format},
                              {"file", disk.file},
                              {"by", disk.by},
                              {"taken", format_instant(disk.taken)},
                              {"until", format_instant(disk.until)}};
    const Folder folder = notes(world).make(0750);
    folder.replace(note_name(name), bj::serialize(document) + "\n", {.mode = 0640, .uid = {}, .gid = {}});
    folder.remove_temporaries(note_name(name));
}

void forget_replaced_disk(const World& world, const VmName& name) {
    const auto folder = notes(world).open();
    if (!folder) return;
    folder->remove(note_name(name));
    folder->remove_temporaries(note_name(name));
}

std::optional<ReplacedDisk> replaced_disk(const World& world, const VmName& name) {
    const auto folder = notes(world).open();
    const auto text = folder ? folder->read(note_name(name)) : std::nullopt;
    if (!text) return std::nullopt;
    ReplacedDisk disk = parse(*text, (folder->path() / note_name(name)).string());
    if (disk.file == disk.by || !is_disk_of(world, name, disk.file) || !is_disk_of(world, name, disk.by))
        return std::nullopt;
    return disk;
}

std::vector<VmName> vms_with_replaced_disks(const World& world) {
    std::vector<VmName> found;
    const auto folder = notes(world).open();
    if (!folder) return found;
    for (const std::string& file : folder->names()) {
        if (!file.ends_with(suffix)) continue;
        if (const auto name = VmName::try_parse(file.substr(0, file.size() - suffix.size())))
            found.push_back(*name);
    }
    return found;
}

namespace {

/// The note counts while the definition has the disk that it names.
std::optional<UndoSnapshot> in_place_of_another(const World& world, const Observation& seen) {
    const auto aside = replaced_disk(world, seen.name);
    if (!aside) return std::nullopt;
    for (const DiskLayers& disk : disk_layers(seen.domain->xml)) {
        const fs::path top = disk.files.empty() ? "" : disk.files.front();
        if (top.filename() == aside->by && world.paths.state.is_same(top.parent_path(), world.storage))
            return UndoSnapshot{disk.target, aside->by, aside->taken, aside->until, aside->file};
    }
    return std::nullopt;
}

} // namespace

std::optional<UndoSnapshot> undo_snapshot_of(const World& world, const Observation& seen) {
    if (!seen.domain) return std::nullopt;
    for (const DiskLayers& disk : disk_layers(seen.domain->xml)) {
        if (disk.files.empty()) continue;
        const fs::path top = disk.files.front();
        if (is_ours(world, seen.name, top)) {
            const std::string file = top.filename().string();
            const auto named = undo_name(file);
            return UndoSnapshot{.target = disk.target,
                                .file = file,
                                .taken = named->taken,
                                .until = named->until,
                                .half_kept = is_half_kept(world, seen.name, file)};
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
    return in_place_of_another(world, seen);
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
