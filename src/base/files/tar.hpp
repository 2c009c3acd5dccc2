// SPDX-License-Identifier: MIT
#pragma once
/// Reads tar archives, which are outside text: ustar (POSIX.1-1988), with GNU's long names and large numbers.

#include "base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace blockhost {

/// What an archive says of one entry. Nothing of it is made here, and a path may climb or begin with '/'.
struct TarEntry {
    enum class Kind {
        file,
        folder,
        symlink,
        hardlink,
        note, ///< extended headers (pax) of the next entry or of all, which are not read
        other ///< devices, FIFOs, and kinds that nobody knows
    } kind = Kind::other;
    std::string path;
    std::string target;      ///< of a link; of a hard link it is a path in the archive
    std::uint64_t bytes = 0; ///< what follows it in the archive, of whatever kind it is
    mode_t mode = 0;         ///< permissions, with setuid, setgid and sticky
    std::int64_t mtime = 0;  ///< seconds since 1970
};

/// The longest path or target that is read.
inline constexpr std::size_t longest_tar_path = 64u << 10;

class TarReader {
  public:
    /// Reads from an open descriptor, which need not be seekable and which the caller keeps.
    explicit TarReader(int archive) : archive_(archive) {}

    /// The next entry; what the caller left of the last one's bytes is passed over. Nothing at the archive's
    /// end. Throws Error{invalid} for what is no archive, or ends in the middle; Error{io}.
    std::optional<TarEntry> next();
    /// The next bytes of the entry, at most `most`; 0 when all were read. Throws likewise.
    std::size_t read(char* into, std::size_t most);

  private:
    std::string long_text(std::uint64_t bytes);
    void pass_over();

    int archive_;
    std::uint64_t left_ = 0;    ///< of the entry's bytes
    std::uint64_t padding_ = 0; ///< behind them
};

/// "the archive " and what is wrong with it: Error{invalid}.
Error no_archive(std::string_view what);

} // namespace blockhost
