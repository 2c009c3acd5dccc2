// SPDX-License-Identifier: MIT
#pragma once
/// One disk whose chunks are read about in order: while some are used, the next are on their way.
///
/// A question to an export, and the wait for its answer, cost more than the bytes do. Chunks that were last
/// stored anew at the same time are either all read now or none: so little is read that nobody asks for.

#include "imgtree/nbd_disk.hpp"

#include <array>
#include <memory>
#include <optional>

namespace blockhost::imgtree {

class ReadAhead {
  public:
    /// `plan`, which outlives this object, says which chunks have data, and when each was stored.
    ReadAhead(NbdDisk disk, const Disk& plan);

    std::uint64_t bytes() const { return disk_.bytes(); }
    /// Bytes of one chunk that has data: at least one, at most `count`. They stay until the next call. Throws
    /// Error{io}.
    std::string_view read(std::uint64_t at, std::size_t count);

    int fd() const { return disk_.fd(); } ///< to be polled for `events`, and `progress` called then
    short events() const { return disk_.events(); }
    void progress() { disk_.progress(); }

  private:
    /// A range of the disk that is here, or on its way.
    struct Window {
        std::uint64_t from = 0, to = 0;
        std::unique_ptr<char[]> bytes = {};
        std::optional<NbdDisk::Question> question = {}; ///< it is on its way
        bool has(std::uint64_t at) const { return at >= from && at < to; }
    };

    Window* window_with(std::uint64_t at);
    Window& ask(std::uint64_t at, const Window* kept);
    void ask_for_what_follows(const Window& window);
    void settle(Window& window);
    const backup::TimedRun& run_with(std::uint64_t at) const;
    std::uint64_t end_of(const backup::TimedRun& run) const;

    NbdDisk disk_;
    const Disk* plan_;
    /// One is read from, another reader may still be in the one before it, and the next is on its way.
    std::array<Window, 3> windows_;
    bool is_warm_ = false;
};

} // namespace blockhost::imgtree
