// SPDX-License-Identifier: MIT
/// See state_folder.hpp.

#include "base/files/state_folder.hpp"

#include "base/error.hpp"
#include "base/files/follow.hpp"
#include "base/files/spelling.hpp"

#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {

namespace fs = std::filesystem;

namespace {

/// Whether `path` names the folder `ours`, whose path is `spelled`; by spelling alone when it does not exist.
bool names(const fs::path& path, const std::optional<Folder>& ours, const fs::path& spelled) {
    struct stat first {
    }, second{};
    if (!ours || stat(path.c_str(), &first) != 0) return files::plain(path) == files::plain(spelled);
    if (fstat(ours->fd(), &second) != 0) throw errno_error("cannot look at", spelled.string(), errno);
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// Falls back to O_PATH: listing the folder takes a right that opening its files does not.
Fd open_folder(const fs::path& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == EACCES) fd = Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return fd;
}

} // namespace

struct StateFolder::Door {
    fs::path path;
    std::mutex mutex;
    Fd opened;

    /// The caller's own descriptor; an invalid one when there is no folder.
    Fd descriptor() {
        const std::lock_guard guard(mutex);
        if (!opened) opened = open_folder(path);
        if (!opened && errno == ENOENT) return {};
        Fd own(opened ? fcntl(opened.get(), F_DUPFD_CLOEXEC, 0) : -1);
        if (!own) throw errno_error("cannot open", path.string(), errno);
        return own;
    }
};

StateFolder::StateFolder(fs::path path) : door_(std::make_shared<Door>()) {
    door_->path = std::move(path);
}

std::optional<Folder> StateFolder::open() const {
    Fd fd = door_ ? door_->descriptor() : Fd();
    if (!fd) return std::nullopt;
    return Folder(door_->path, std::move(fd));
}

Folder StateFolder::make() const {
    std::error_code failure;
    fs::create_directories(string(), failure);
    if (failure)
        throw Error(Code::io, "cannot make " + string() + ": " + failure.message(),
                    "make that folder, or run as a user who may");
    auto folder = open();
    if (!folder) throw errno_error("cannot open", string(), ENOENT);
    return std::move(*folder);
}

std::string StateFolder::string() const {
    return door_ ? door_->path.string() : std::string();
}

std::string StateFolder::string(std::string_view file) const {
    return (fs::path(string()) / file).string();
}

std::optional<Folder> StateFolder::at(const fs::path& path) const {
    const fs::path below = door_ ? path.lexically_normal().lexically_relative(door_->path) : fs::path();
    const bool inside = !below.empty() && *below.begin() != "..";
    if (!inside) return Folder::open(path);
    const Fd state = door_->descriptor();
    Fd end = state ? follow_to_folder(state.get(), door_->path, below) : Fd();
    if (!end) return std::nullopt;
    return Folder(path, std::move(end));
}

bool StateFolder::is_same(const fs::path& path, const fs::path& ours) const {
    return names(path, at(ours), ours);
}

bool StateFolder::is(const fs::path& path) const {
    return names(path, open(), string());
}

std::optional<StateFolder::File> StateFolder::file_at(const fs::path& path) const {
    fs::path file = path;
    for (int links = 0; links <= most_links; ++links) {
        const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
        auto folder = at(parent);
        if (!folder) return std::nullopt;
        const std::string name = file.filename().string();
        struct stat seen {};
        const bool is_link =
            fstatat(folder->fd(), name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(seen.st_mode);
        if (!is_link) return File{std::move(*folder), name};
        file = parent / followed_link(folder->fd(), name, file); // an absolute target replaces all
    }
    throw errno_error("cannot open", path.string(), ELOOP);
}

StatePlace::StatePlace(StateFolder state, std::string name, Links links)
    : state_(std::move(state)), name_(std::move(name)), links_(links) {}

StatePlace::StatePlace(const fs::path& path)
    : state_(path.has_parent_path() ? path.parent_path() : fs::path(".")), name_(path.filename().string()) {}

std::optional<Folder> StatePlace::open() const {
    if (links_ == Links::of_root) return state_.at(string());
    const auto state = state_.open();
    return state ? state->sub(name_) : std::nullopt;
}

Folder StatePlace::make(mode_t mode) const {
    if (links_ == Links::of_root)
        if (auto there = open()) return std::move(*there);
    const auto state = state_.open();
    if (!state) throw errno_error("cannot make", string(), ENOENT);
    return state->make_sub(name_, mode);
}

bool StatePlace::is(const fs::path& path) const {
    return names(path, open(), string());
}

std::string StatePlace::string() const {
    return state_.string(name_);
}

std::string StatePlace::string(std::string_view file) const {
    return (fs::path(string()) / file).string();
}

} // namespace blockhost
