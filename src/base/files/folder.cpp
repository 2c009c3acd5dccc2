// SPDX-License-Identifier: MIT
// Folders that outside text cannot escape from: every access by one name, beneath, through no link.
#include "base/files/files.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/follow.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace blockhost {

namespace {

/// This program makes no deeper trees. Each level costs a descriptor while a tree is removed.
constexpr int deepest_tree = 64;

/// `name` as a string for system calls; throws unless it is one component.
std::string component(std::string_view name) {
    bool good = !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
                name.find('\0') == std::string_view::npos;
    if (!good)
        throw Error(Code::invalid, "\"" + text::printable(name) + "\" is not the name of a file in a folder");
    return std::string(name);
}

/// openat2(2) of one component; an invalid Fd with errno set on failure.
Fd open_beneath(int folder, const std::string& name, int flags, mode_t mode = 0) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    for (;;) {
        auto fd = static_cast<int>(syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return Fd(fd); // EAGAIN: raced with a rename
    }
}

std::vector<std::string> names_in(int folder, std::string_view name_for_errors) {
    int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); // with its own offset
    if (own < 0) throw errno_error("cannot open", name_for_errors, errno);
    std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(own), closedir);
    if (!listing) {
        ::close(own);
        throw errno_error("cannot list", name_for_errors, errno);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(listing.get())) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    if (errno != 0) throw errno_error("cannot list", name_for_errors, errno);
    std::sort(names.begin(), names.end());
    return names;
}

void empty_out(int folder, const std::string& name_for_errors, int depth) {
    if (depth > deepest_tree)
        throw Error(Code::io, name_for_errors + " is nested too deeply to be one of our folders");
    for (const std::string& name : names_in(folder, name_for_errors)) {
        std::string full = name_for_errors;
        full.append("/").append(name);
        if (unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR) throw errno_error("cannot remove", full, errno);
        Fd sub = open_beneath(folder, name, O_RDONLY | O_DIRECTORY);
        if (!sub) throw errno_error("cannot open", full, errno);
        empty_out(sub.get(), full, depth + 1);
        if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0)
            throw errno_error("cannot remove", full, errno);
    }
}

/// Opens the file, making it when `flags` say so; sets `made` when this call made it.
Fd open_or_create(int folder, const std::string& name, int flags, mode_t mode, bool& made) {
    made = false;
    if (!(flags & O_CREAT)) return open_beneath(folder, name, flags);
    for (;;) {
        Fd fresh = open_beneath(folder, name, flags | O_EXCL, mode);
        made = static_cast<bool>(fresh);
        if (made || errno != EEXIST || (flags & O_EXCL)) return fresh;
        Fd there = open_beneath(folder, name, flags & ~O_CREAT);
        if (there || errno != ENOENT) return there; // ENOENT: removed meanwhile
    }
}

/// Throws unless it is a regular file. Throws also when it has a second name and is not the folder owner's.
void require_plain(int file, int folder, const std::string& name_for_errors) {
    struct stat found {
    }, around{};
    if (fstat(file, &found) != 0 || fstat(folder, &around) != 0)
        throw errno_error("cannot look at", name_for_errors, errno);
    if (!S_ISREG(found.st_mode)) throw Error(Code::io, name_for_errors + " is not a regular file");
    if (found.st_nlink > 1 && found.st_uid != around.st_uid)
        throw Error(Code::io, name_for_errors + " has another name too, and is not the folder's owner's",
                    "put a file of its own there");
}

} // namespace

Folder Folder::open_or_make(const std::filesystem::path& path, mode_t mode) {
    bool made = mkdir(path.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) throw errno_error("cannot make", path.native(), errno);
    auto folder = open(path);
    if (!folder) throw errno_error("cannot open", path.native(), ENOENT);
    if (!made) return std::move(*folder);
    auto parent_path = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    Fd parent(::open(parent_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent) throw errno_error("cannot open", parent_path.native(), errno);
    files::give(folder->fd(), parent.get(), {.mode = mode, .uid = {}, .gid = {}}, path.native());
    files::sync(parent.get(), parent_path.native());
    return std::move(*folder);
}

std::optional<Folder> Folder::open(const std::filesystem::path& path) {
    Fd fd = follow_to_folder(AT_FDCWD, {}, path);
    if (!fd) return std::nullopt;
    return Folder(path, std::move(fd));
}

std::optional<Folder> Folder::sub(std::string_view name) const {
    Fd fd = open_beneath(fd_.get(), component(name), O_RDONLY | O_DIRECTORY);
    if (fd) return Folder(path_ / name, std::move(fd));
    if (errno == ENOENT) return std::nullopt;
    if (errno == ELOOP) throw planted_link(path_ / name);
    throw errno_error("cannot open", (path_ / name).native(), errno);
}

Folder Folder::make_sub(std::string_view name, mode_t mode) const {
    std::string one = component(name);
    std::filesystem::path full = path_ / one;
    bool made = mkdirat(fd_.get(), one.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) throw errno_error("cannot make", full.native(), errno);
    auto folder = sub(one);
    if (!folder) throw errno_error("cannot open", full.native(), ENOENT);
    if (!made) return std::move(*folder);
    files::give(folder->fd(), fd_.get(), {.mode = mode, .uid = {}, .gid = {}}, full.native());
    sync();
    return std::move(*folder);
}

Fd Folder::open_file(std::string_view name, int flags, mode_t mode) const {
    std::string one = component(name);
    std::filesystem::path full = path_ / one;
    bool made = false;
    // Never wait for a FIFO, and never empty a file before it has been checked.
    Fd fd = open_or_create(fd_.get(), one, (flags & ~O_TRUNC) | O_NONBLOCK, mode, made);
    if (!fd && errno == ENOENT) return {};
    if (!fd && errno == ELOOP) throw planted_link(full);
    if (!fd) throw errno_error("cannot open", full.native(), errno);
    require_plain(fd.get(), fd_.get(), full.native());
    if ((flags & O_TRUNC) && ftruncate(fd.get(), 0) != 0)
        throw errno_error("cannot empty", full.native(), errno);
    if (made) files::give(fd.get(), fd_.get(), {.mode = mode, .uid = {}, .gid = {}}, full.native());
    return fd;
}

std::optional<std::string> Folder::read(std::string_view name, std::size_t max) const {
    Fd fd = open_file(name, O_RDONLY);
    if (!fd) return std::nullopt;
    return files::read_fd(fd.get(), (path_ / name).native(), max);
}

void Folder::replace(std::string_view name, std::string_view content,
                     const files::Ownership& ownership) const {
    files::replace_at(fd_.get(), component(name), (path_ / name).native(), content, ownership,
                      files::Existing::overwrite_owner_and_mode);
}

void Folder::replace_unsynced(std::string_view name, std::string_view content,
                              const files::Ownership& ownership) const {
    files::replace_unsynced_at(fd_.get(), component(name), (path_ / name).native(), content, ownership);
}

Folder::Kind Folder::kind(std::string_view name) const {
    struct stat found {};
    if (fstatat(fd_.get(), component(name).c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return Kind::absent;
        throw errno_error("cannot look at", (path_ / name).native(), errno);
    }
    if (S_ISREG(found.st_mode)) return Kind::file;
    return S_ISDIR(found.st_mode) ? Kind::folder : Kind::other;
}

std::vector<std::string> Folder::names() const {
    return names_in(fd_.get(), path_.native());
}

bool Folder::remove(std::string_view name) const {
    std::string one = component(name);
    fault::point("folder.remove");
    if (unlinkat(fd_.get(), one.c_str(), 0) != 0) {
        if (errno == ENOENT) return false;
        throw errno_error("cannot remove", (path_ / one).native(), errno);
    }
    sync();
    fault::point("folder.remove.after");
    return true;
}

void Folder::remove_temporaries(std::string_view name) const {
    for (const std::string& file : names())
        if (files::is_temporary_of(file, name)) remove(file);
}

bool Folder::remove_tree(std::string_view name) const {
    std::string one = component(name);
    fault::point("folder.remove_tree");
    auto tree = sub(one);
    if (!tree) return false;
    empty_out(tree->fd(), tree->path().native(), 0);
    if (unlinkat(fd_.get(), one.c_str(), AT_REMOVEDIR) != 0)
        throw errno_error("cannot remove", tree->path().native(), errno);
    sync();
    fault::point("folder.remove_tree.after");
    return true;
}

void Folder::sync() const {
    files::sync(fd_.get(), path_.native());
}

} // namespace blockhost
