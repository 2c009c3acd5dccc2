#pragma once
/// flock(2) on a file, with a deadline. BSD locks only: they survive no exec (close-on-exec) and end with the
/// process.

#include "base/files.hpp"
#include "base/time.hpp"

#include <functional>

namespace blockhost {

/// A held flock; releasing is closing.
class FileLock {
  public:
    enum class Mode { shared, exclusive };

    /// Tries once; nothing when somebody else holds it. `fd` is taken over only on success.
    static std::optional<FileLock> try_take(Fd& fd, Mode mode = Mode::exclusive);

    /// Tries every few milliseconds until `deadline`; nothing when it passed or `give_up()` became true.
    static std::optional<FileLock> take(Fd fd, Mode mode, const Deadline& deadline,
                                        const std::function<bool()>& give_up = {});

    int fd() const { return fd_.get(); }
    /// Whether the locked file still is the one named `name` in `folder` (it may have been unlinked
    /// meanwhile).
    bool still_named(int folder_fd, const std::string& name) const;

  private:
    explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace blockhost
