// SPDX-License-Identifier: MIT
// flock(2) with a deadline.
#include "base/files/lock.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/patience.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace blockhost {

namespace {

/// Short, because other programs wait in the kernel, which hands them the lock at once.
constexpr std::chrono::milliseconds longest_pause{4};

} // namespace

std::optional<FileLock> FileLock::try_take(Fd& fd, Mode mode) {
    if (fault::left_out("lock", fd.get())) return FileLock(std::move(fd));
    int operation = (mode == Mode::exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
    while (flock(fd.get(), operation) != 0) {
        if (errno == EWOULDBLOCK) return std::nullopt;
        if (errno != EINTR) throw errno_error("cannot lock", "an open file", errno);
    }
    return FileLock(std::move(fd));
}

std::optional<FileLock> FileLock::take(Fd fd, Mode mode, const Deadline& deadline,
                                       const std::function<bool()>& give_up) {
    std::chrono::milliseconds pause{1};
    for (;;) {
        if (auto lock = try_take(fd, mode)) return lock;
        if (deadline.passed() || (give_up && give_up())) return std::nullopt;
        pause_for(std::min(pause, deadline.left()));
        pause = std::min(pause * 2, longest_pause);
    }
}

std::optional<FileLock> FileLock::take_named(const Folder& folder, const std::string& name, mode_t mode,
                                             const Deadline& deadline) {
    constexpr int most_attempts = 100;
    for (int attempt = 1; attempt <= most_attempts; ++attempt) {
        Fd fd = folder.open_file(name, O_RDWR | O_CREAT, mode);
        if (!fd) continue;
        auto lock = take(std::move(fd), Mode::exclusive, deadline);
        if (!lock || lock->still_named(folder.fd(), name)) return lock;
    }
    throw Error(Code::io,
                "cannot lock " + (folder.path() / name).native() + ": it vanishes as soon as it is made",
                "look whether somebody removes that folder or files in it");
}

bool FileLock::still_named(int folder_fd, const std::string& name) const {
    struct stat held {
    }, named{};
    if (fstat(fd_.get(), &held) != 0) throw errno_error("cannot look at", name, errno);
    if (fstatat(folder_fd, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return false;
        throw errno_error("cannot look at", name, errno);
    }
    return held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

} // namespace blockhost
