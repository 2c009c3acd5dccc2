// SPDX-License-Identifier: MIT
#pragma once
/// flock(2) on a file, with a deadline. BSD locks only: they survive no exec (close-on-exec) and end with the
/// process.

#include "base/files/files.hpp"
#include "base/time.hpp"

#include <functional>

namespace blockhost {

/// A held flock; destroying it releases the lock.
class FileLock {
  public:
    enum class Mode { shared, exclusive };

    /// Tries once; nothing when another process holds the lock. Takes `fd` over only on success.
    static std::optional<FileLock> try_take(Fd& fd, Mode mode = Mode::exclusive);

    /// Tries every few milliseconds until `deadline`; nothing when it passed or `give_up()` returned true.
    static std::optional<FileLock> take(Fd fd, Mode mode, const Deadline& deadline,
                                        const std::function<bool()>& give_up = {});

    /// Locks the file `name` in `folder`, making it when it is missing. Its holder may remove it: the lock is
    /// on the file that has the name now. Nothing when another process holds it until `deadline`. Throws
    /// Error{io} when the file vanishes a hundred times in a row.
    static std::optional<FileLock> take_named(const Folder& folder, const std::string& name, mode_t mode,
                                              const Deadline& deadline = Deadline::in({}));

    int fd() const { return fd_.get(); }
    /// Whether the locked file is still named `name` in `folder` (it may have been unlinked meanwhile).
    bool still_named(int folder_fd, const std::string& name) const;

  private:
    explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace blockhost
