// SPDX-License-Identifier: MIT
#include "image/files/restore_files.hpp"

#include "base/error.hpp"
#include "base/files/lock.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "operations/create/settings.hpp"
#include "operations/restore/contents.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* disk_name = "disk.qcow2";
constexpr const char* scratch_name = "t";
/// So deep that all of it can be removed again (Folder::remove_tree).
constexpr std::size_t deepest_place = 60;

/// A folder of root's cache that one run has to itself.
class Bench {
  public:
    explicit Bench(const Paths& paths) : folder_(make(paths)), lock_(take(folder_)) { clear(); }
    ~Bench() {
        try {
            clear();
        } catch (const Error&) {
            // The next run does it.
        }
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
    const Folder& folder() const { return folder_; }

  private:
    static Folder make(const Paths& paths) {
        Folder::open_or_make(paths.cache.parent_path(), 0755);
        return Folder::open_or_make(paths.cache, 0711).make_sub("files", 0700);
    }
    static FileLock take(const Folder& folder) {
        auto lock = FileLock::take_named(folder, "lock", 0600);
        if (!lock) throw Error(Code::busy, "files of another backup are being restored", "wait for its end");
        return std::move(*lock);
    }
    void clear() const {
        folder_.remove(disk_name);
        folder_.remove_tree(scratch_name);
    }

    Folder folder_;
    FileLock lock_;
};

/// Where the files go: all of them, or none.
class Target {
  public:
    explicit Target(const std::filesystem::path& to)
        : place_(std::filesystem::absolute(to).lexically_normal()), around_(open_around()),
          name_(place_.filename().string()) {
        if (around_.kind(name_) == Folder::Kind::absent) {
            made_ = true;
            folder_ = around_.make_sub(name_, 0700);
        } else {
            folder_ = take_empty();
        }
        folder_->remove_tree(part_name);
        part_ = folder_->make_sub(part_name, 0700);
    }
    ~Target() {
        if (is_complete_) return;
        try {
            part_.reset();
            if (made_) {
                folder_.reset();
                around_.remove_tree(name_);
                return;
            }
            for (const std::string& name : folder_->names())
                folder_->kind(name) == Folder::Kind::folder ? folder_->remove_tree(name)
                                                            : folder_->remove(name);
        } catch (const Error&) {
            // Whoever gives that folder again is told that it is not empty.
        }
    }
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const Folder& part() const { return *part_; }

    /// Everything is put in its place.
    void complete() {
        for (const std::string& name : part_->names())
            if (renameat(part_->fd(), name.c_str(), folder_->fd(), name.c_str()) != 0)
                throw errno_error("cannot move", (folder_->path() / name).string(), errno);
        folder_->remove_tree(part_name);
        folder_->sync();
        is_complete_ = true;
    }

  private:
    Folder open_around() {
        if (!place_.has_filename()) place_ = place_.parent_path();
        auto around = Folder::open(place_.parent_path());
        if (!around || place_.filename().empty())
            throw Error(Code::not_found, "there is no folder " + place_.parent_path().string(),
                        "make it first");
        return std::move(*around);
    }
    Folder take_empty() const {
        auto folder = around_.kind(name_) == Folder::Kind::folder ? around_.sub(name_) : std::nullopt;
        const auto names = folder ? folder->names() : std::vector<std::string>{""};
        if (!std::ranges::all_of(names, [](const std::string& name) { return name == part_name; }))
            throw Error(Code::exists, "there is something at " + place_.string() + " already",
                        "name a folder that is to be made, or one that is empty");
        return std::move(*folder);
    }

    std::filesystem::path place_;
    Folder around_;
    std::string name_;
    bool made_ = false, is_complete_ = false;
    std::optional<Folder> folder_, part_;
};

void require_room(const Folder& bench, const backup::ManifestDisk& disk) {
    const std::uint64_t needed = backup::data_bytes(disk) + appliance_bytes;
    const std::uint64_t free = files::room_on(bench.fd(), bench.path().string()).free;
    if (needed <= free) return;
    throw Error(Code::no_room,
                fmt::format("the backup needs {} to be looked into, and {} has room for {}",
                            text::human_bytes(needed), bench.path().string(), text::human_bytes(free)),
                "free room on its file system");
}

/// The folder of the path's last name, made as far as it is not there.
Folder around(const Folder& top, const std::vector<std::string>& names) {
    constexpr mode_t in_between = 0700;
    Folder folder = top.make_sub(names.front(), in_between);
    for (std::size_t i = 1; i + 1 < names.size(); ++i) folder = folder.make_sub(names[i], in_between);
    return folder;
}

Fd open_content(const Folder& contents, std::size_t index) {
    Fd content = contents.open_file(std::to_string(index), O_RDONLY);
    if (!content) throw Error(Code::program, "libguestfs did not copy every path", "try again");
    return content;
}

Unpacked put(const Folder& contents, std::size_t index, const GuestPath& path, const Folder& folder,
             const std::vector<std::string>& names, const std::function<void()>& check) {
    const std::string& name = names.back();
    if (path.kind == GuestPath::Kind::link) {
        put_link(folder, name, path.target);
        return {.links = 1};
    }
    const Fd content = open_content(contents, index);
    if (path.kind == GuestPath::Kind::folder) {
        Unpacked done =
            unpack(content.get(), folder.make_sub(name, 0700), deepest_place - names.size(), check);
        ++done.folders;
        return done;
    }
    put_file(folder, name, {content.get(), path.bytes, path.mode, path.mtime}, check);
    return {.files = 1, .bytes = path.bytes};
}

Unpacked put_all(const Folder& bench, const std::vector<std::string>& paths,
                 const std::vector<GuestPath>& found, const Folder& part,
                 const std::function<void()>& check) {
    const auto scratch = bench.sub(scratch_name);
    const auto contents = scratch ? scratch->sub(contents_folder) : std::nullopt;
    if (!contents) throw Error(Code::program, "libguestfs copied nothing", "try again");
    Unpacked all;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto names = components(paths[i]);
        const auto folder = names.size() > 1 ? std::optional(around(part, names)) : std::nullopt;
        all += put(*contents, i, found[i], folder ? *folder : part, names, check);
    }
    return all;
}

/// The template's version is held as long as the disk stands on it.
std::vector<GuestPath> look_into(World& world, const backup::Restic& restic, const backup::Backup& backup,
                                 const FilesRequest& request, const Folder& bench,
                                 const Interruption& interruption) {
    const backup::Manifest manifest = operations::read_manifest(restic, backup);
    require_room(bench, manifest.disks.front());
    const FileLock kept =
        hold_templates(world.paths, FileLock::Mode::shared, Deadline::in(60s), interruption);
    const auto check = [&] { interruption.check(); };
    world.progress.stage("restoring the disk");
    const std::filesystem::path base = operations::former_template(world, manifest.base);
    const std::filesystem::path disk = bench.path() / disk_name;
    backup::make_image(disk, manifest.disks.front().bytes, base);
    backup::fill_disk(restic, backup, manifest, disk,
                      base.empty() ? backup::StandsOn::nothing : backup::StandsOn::another_image, check);
    world.progress.stage("looking into it");
    return copy_out(bench, disk_name, request.paths, world.progress, check);
}

} // namespace

std::vector<std::string> require_paths(const std::vector<std::string>& given) {
    constexpr std::size_t most = 100;
    if (given.size() > most)
        throw Error(Code::usage, fmt::format("at most {} paths are restored at once", most),
                    "name the folder that they are in");
    std::vector<std::string> paths;
    for (const std::string& each : given) {
        if (!each.starts_with('/'))
            throw Error(Code::invalid, "--file " + text::printable(each) + " is no absolute path",
                        "give it as it is in the guest, from / on");
        const auto names = components(each);
        if (names.empty())
            throw Error(Code::invalid, "--file / is all of the disk",
                        "'blockhost-libvirt backup extract' restores it as an image");
        if (names.size() >= deepest_place)
            throw Error(Code::invalid, "--file " + text::printable(each) + " lies too deep",
                        "'blockhost-libvirt backup extract' restores the disk as an image");
        paths.push_back("/" + text::join(names, "/"));
    }
    auto sorted = paths;
    std::ranges::sort(sorted);
    for (const std::string& outer : sorted)
        for (const std::string& inner : sorted)
            if (&inner != &outer && (inner == outer || inner.starts_with(outer + "/")))
                throw Error(
                    Code::invalid,
                    fmt::format("--file {} lies within {}", text::printable(inner), text::printable(outer)),
                    "name one of the two");
    return paths;
}

void restore_files(World& world, const backup::Restic& restic, const backup::Backup& backup,
                   const FilesRequest& request, const Interruption& interruption,
                   const std::function<void(const Unpacked&)>& deliver) {
    Target target(request.to);
    const Bench bench(world.paths);
    const auto found = look_into(world, restic, backup, request, bench.folder(), interruption);
    world.progress.stage("copying the files");
    deliver(put_all(bench.folder(), request.paths, found, target.part(), [&] { interruption.check(); }));
    target.complete();
}

} // namespace blockhost::image
