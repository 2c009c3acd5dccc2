// SPDX-License-Identifier: MIT
/// See follow.hpp.

#include "base/files/follow.hpp"

#include <array>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace blockhost {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_link = 4096;

/// Opens the whole way at once if there is no link on it. Falls back to O_PATH: listing a folder needs a
/// right that opening its files does not.
Fd open_without_links(int start, const fs::path& way) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS;
    for (;;) {
        Fd fd(static_cast<int>(syscall(SYS_openat2, start, way.c_str(), &how, sizeof how)));
        const bool only_entered = !fd && errno == EACCES && (how.flags & O_PATH) == 0;
        if (only_entered) how.flags |= O_PATH;
        const bool again = errno == EINTR || errno == EAGAIN || only_entered; // EAGAIN: raced with a rename
        if (fd || !again) return fd;
    }
}

/// Walks from folder to folder, one name at a time.
class Walk {
  public:
    Walk(int start, fs::path start_name, const fs::path& way)
        : at_(openat(start, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)), full_(std::move(start_name)) {
        if (!at_) throw errno_error("cannot open", full_.string(), errno);
        add(way);
    }

    /// The folder at the end; an invalid Fd when a part of the way is missing.
    Fd end() {
        while (!parts_.empty()) {
            const std::string part = parts_.front().string();
            parts_.pop_front();
            if (!part.empty() && part != "." && !step(part)) return {};
        }
        Fd use = open_without_links(at_.get(), ".");
        if (!use) throw errno_error("cannot open", full_.string(), errno);
        return use;
    }

  private:
    void add(const fs::path& way) {
        if (way.is_absolute()) at_ = Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), full_ = "/";
        const fs::path relative = way.relative_path();
        parts_.insert(parts_.begin(), relative.begin(), relative.end());
    }

    bool step(const std::string& part) {
        Fd next(openat(at_.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!next && errno == ENOENT) return false;
        struct stat seen {};
        if (!next || fstat(next.get(), &seen) != 0)
            throw errno_error("cannot open", (full_ / part).string(), errno);
        if (S_ISLNK(seen.st_mode)) {
            if (++links_ > most_links) throw errno_error("cannot open", (full_ / part).string(), ELOOP);
            add(followed_link(at_.get(), part, full_ / part));
            return true;
        }
        full_ /= part;
        if (!S_ISDIR(seen.st_mode)) throw errno_error("cannot open", full_.string(), ENOTDIR);
        at_ = std::move(next);
        return true;
    }

    Fd at_;
    fs::path full_;
    std::deque<fs::path> parts_;
    int links_ = 0;
};

} // namespace

Error planted_link(const fs::path& path) {
    return Error(Code::io, path.string() + " is a link, which is not followed",
                 "put a file or a folder of its own there: another user could have made that link");
}

Fd follow_to_folder(int start, const fs::path& start_name, const fs::path& way) {
    Fd fd = open_without_links(start, way);
    if (fd || errno == ENOENT) return fd;
    if (errno != ELOOP) throw errno_error("cannot open", (start_name / way).string(), errno);
    return Walk(start, start_name, way).end();
}

fs::path followed_link(int folder, const std::string& name, const fs::path& full) {
    const Fd link(openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat seen {};
    if (!link || fstat(link.get(), &seen) != 0) throw errno_error("cannot look at", full.string(), errno);
    if (seen.st_uid != 0 && seen.st_uid != geteuid()) throw planted_link(full);
    std::array<char, longest_link> target{};
    const ssize_t length = readlinkat(link.get(), "", target.data(), target.size());
    if (length <= 0) throw errno_error("cannot read the link", full.string(), errno);
    return std::string(target.data(), static_cast<std::size_t>(length));
}

} // namespace blockhost
