// SPDX-License-Identifier: MIT
#include "backup/keys/keys.hpp"

#include "backup/repository.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::backup {

namespace {

/// A named pipe in root's cache, which restic's user alone may read. It is gone with this object.
class Pipe {
  public:
    Pipe(const Paths& paths, const Restic& restic) : folder_(open_cache(paths)), name_(random_name()) {
        if (mkfifoat(folder_.fd(), name_.c_str(), 0600) != 0)
            throw errno_error("cannot make", path().string(), errno);
        const auto& user = restic.access().user;
        if (user && fchownat(folder_.fd(), name_.c_str(), user->uid, user->gid, AT_SYMLINK_NOFOLLOW) != 0) {
            const int error = errno;
            folder_.remove(name_);
            throw errno_error("cannot give away", path().string(), error);
        }
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() { unlinkat(folder_.fd(), name_.c_str(), 0); }

    std::filesystem::path path() const { return folder_.path() / name_; }

    /// Writes the line once somebody reads; before that nothing happens.
    void feed(const std::string& line) {
        if (is_fed_) return;
        const Fd fd(openat(folder_.fd(), name_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
        if (!fd && errno == ENXIO) return;
        if (!fd || write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw errno_error("cannot write to", path().string(), errno);
        is_fed_ = true;
    }

  private:
    static Folder open_cache(const Paths& paths) {
        make_mount_point(paths); // the folder around it, through which restic's user may pass
        return *Folder::open(paths.cache);
    }
    static std::string random_name() {
        constexpr std::size_t digits = 16;
        return "key-" + random_hex(digits);
    }

    Folder folder_;
    std::string name_;
    bool is_fed_ = false;
};

} // namespace

Key add_key(const Paths& paths, const Restic& restic, const std::string& password) {
    if (password == restic.access().password)
        throw Error(Code::exists, "that is the password which the host has already",
                    "choose another one, so that each can be taken away by itself");
    const auto before = restic.keys();
    Pipe pipe(paths, restic);
    restic.add_key(pipe.path(), [&] { pipe.feed(password + "\n"); });
    for (Key& key : restic.keys())
        if (std::ranges::find(before, key.id, &Key::id) == before.end()) return std::move(key);
    throw Error(Code::program, "the repository does not list the key that was added",
                "see 'blockhost-libvirt backup key list'");
}

void remove_key(const Restic& restic, const std::string& digits) {
    constexpr std::size_t fewest = 6;
    if (digits.size() < fewest || digits.find_first_not_of("0123456789abcdef") != digits.npos)
        throw Error(Code::invalid, text::printable(digits) + " names no key",
                    fmt::format("give at least {} digits of its id, as 'backup key list' prints it", fewest));
    std::vector<Key> found;
    for (Key& key : restic.keys())
        if (key.id.starts_with(digits)) found.push_back(std::move(key));
    if (found.empty())
        throw Error(Code::not_found, "the repository has no key " + digits,
                    "see 'blockhost-libvirt backup key list'");
    if (found.size() > 1)
        throw Error(Code::usage, "more than one key's id begins with " + digits, "give more of its digits");
    if (found.front().is_current)
        throw Error(Code::wrong_state,
                    "key " + digits + " is the one that this host opens the repository with",
                    "without it nothing can be backed up any more; remove another one");
    restic.remove_key(found.front().id);
}

} // namespace blockhost::backup
