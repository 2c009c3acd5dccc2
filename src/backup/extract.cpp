// SPDX-License-Identifier: MIT
#include "backup/extract.hpp"

#include "backup/imgtree.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

constexpr std::size_t largest_file = 16u << 20;
/// Those that a backup may have beside its disks, as far as they are made here.
constexpr std::array<const char*, 5> small_files{"manifest.json", "domain.xml", "record.json", "user-data",
                                                 "network-config"};

std::string image_name(const ManifestDisk& disk) {
    return disk.name + ".qcow2";
}

void require_room(const Folder& parent, const Manifest& manifest) {
    std::uint64_t needed = 0;
    for (const ManifestDisk& disk : manifest.disks) needed += data_bytes(disk);
    const std::uint64_t free = files::room_on(parent.fd(), parent.path().string()).free;
    if (needed <= free) return;
    throw Error(Code::no_room,
                fmt::format("the backup has {} of data, and {} has room for {}", text::human_bytes(needed),
                            parent.path().string(), text::human_bytes(free)),
                "choose a folder on another file system");
}

void write_small_files(const Repository& repository, const Backup& backup, const Folder& folder) {
    for (const char* name : small_files) {
        const bool is_manifest = name == small_files.front();
        const auto content =
            small_file(repository, backup, name, is_manifest ? largest_manifest : largest_file);
        if (content) folder.replace(name, *content, {.mode = 0600, .uid = {}, .gid = {}});
    }
}

View empty_view() {
    View view;
    for (const char* name : small_files) view.files.emplace_back(name, "");
    return view;
}

FrozenDisk frozen(const ManifestDisk& disk, const std::filesystem::path& image, StandsOn stands_on) {
    FrozenDisk one{.name = disk.name,
                   .file = image,
                   .chunk_bytes = disk.chunk_bytes,
                   .bytes = disk.bytes,
                   .times = {},
                   .overlay = stands_on == StandsOn::another_image};
    for (const ChunkRun& run : disk.chunks.runs()) one.times.push_back({run, 0});
    return one;
}

View view_of(const Manifest& manifest, const std::filesystem::path& folder) {
    View view = empty_view();
    for (const ManifestDisk& disk : manifest.disks)
        view.disks.push_back(frozen(disk, folder / image_name(disk), StandsOn::nothing));
    return view;
}

void fill(const Repository& repository, const Backup& backup, const View& view,
          const std::function<void()>& check) {
    const std::string trouble = repository.fill(backup.id, view, check);
    if (trouble.find("No space left on device") != trouble.npos)
        throw Error(Code::no_room,
                    fmt::format("backup {} cannot be restored: {}", backup.short_id(), trouble),
                    "free room on that file system");
    if (!trouble.empty())
        throw Error(Code::invalid,
                    fmt::format("backup {} cannot be restored: {}", backup.short_id(), trouble),
                    "see 'blockhost-libvirt backup check', and take an earlier one");
}

} // namespace

Manifest manifest_of(const Repository& repository, const Backup& backup) {
    const std::string name = "the manifest of " + backup.short_id();
    Manifest manifest = parse_manifest(repository.file(backup.id, "/manifest.json", largest_manifest), name);
    if (manifest.vm != backup.vm || manifest.uuid != backup.uuid ||
        manifest.operation != backup.operation.str())
        throw Error(Code::invalid, name + " is another backup's", "leave that backup alone");
    return manifest;
}

std::optional<std::string> small_file(const Repository& repository, const Backup& backup,
                                      const std::string& name, std::size_t most) {
    try {
        return repository.file(backup.id, "/" + name, most);
    } catch (const Error& error) {
        if (error.code() != Code::not_found) throw; // not every VM has each
        return std::nullopt;
    }
}

Record record_of(const Repository& repository, const Backup& backup) {
    const std::string name = "the record of " + backup.short_id();
    const auto text = small_file(repository, backup, "record.json", largest_record);
    if (!text)
        throw Error(Code::invalid, fmt::format("backup {} has no record.json", backup.short_id()),
                    "'blockhost-libvirt backup extract' restores its disks alone");
    Record record = parse_record(*text, name);
    if (record.name != backup.vm)
        throw Error(Code::invalid, name + " is another VM's", "leave that backup alone");
    return record;
}

std::uint64_t data_bytes(const ManifestDisk& disk) {
    return std::min(disk.chunks.size() * disk.chunk_bytes, disk.bytes);
}

void extract(const Restic& restic, const Backup& backup, const Manifest& manifest,
             const std::filesystem::path& to, const std::function<void()>& check) {
    const std::filesystem::path place = std::filesystem::absolute(to).lexically_normal();
    const std::string name = place.filename().string();
    const auto parent = Folder::open(place.parent_path());
    if (!parent || name.empty())
        throw Error(Code::not_found, "there is no folder " + place.parent_path().string(), "make it first");
    if (parent->kind(name) != Folder::Kind::absent)
        throw Error(Code::exists, "there is something at " + place.string() + " already",
                    "name a folder that is to be made");
    require_room(*parent, manifest);
    const Folder folder = parent->make_sub(name, 0700);
    try {
        for (const ManifestDisk& disk : manifest.disks)
            make_image(folder.path() / image_name(disk), disk.bytes, {});
        check();
        fill(restic, backup, view_of(manifest, folder.path()), check);
        write_small_files(restic, backup, folder);
        folder.sync();
    } catch (...) {
        parent->remove_tree(name);
        throw;
    }
}

void make_image(const std::filesystem::path& image, std::uint64_t bytes, const std::filesystem::path& base) {
    ProcessSpec spec{.program = "/usr/bin/qemu-img",
                     .arguments = {"create", "-q", "-f", "qcow2", "-o", "compat=1.1"}};
    if (!base.empty()) spec.arguments.insert(spec.arguments.end(), {"-F", "qcow2", "-b", base.string()});
    spec.arguments.insert(spec.arguments.end(), {image.string(), std::to_string(bytes)});
    ProcessResult result;
    try {
        result = run(spec);
    } catch (const Error& error) {
        throw Error(Code::program, error.message(), "install qemu-utils");
    }
    if (!result.ok())
        throw Error(Code::io,
                    fmt::format("{} cannot be made: {}", image.string(),
                                text::join(text::last_lines(result.err, 1), "")),
                    "see that there is room");
}

void fill_disk(const Repository& repository, const Backup& backup, const Manifest& manifest,
               const std::filesystem::path& image, StandsOn stands_on, const std::function<void()>& check) {
    View view = empty_view();
    view.disks.push_back(frozen(manifest.disks.front(), image, stands_on));
    fill(repository, backup, view, check);
}

} // namespace blockhost::backup
