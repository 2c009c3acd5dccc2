// SPDX-License-Identifier: MIT
#pragma once
/// A disk as chunks of one size, each of which is a file in a backup. A chunk without a file is zeros.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::backup {

/// The chunk size of a disk's first backup; it is kept as long as the disk. 256 KiB up to 64 GiB; above, the
/// power of two that makes at most 262,144 chunks.
std::uint64_t chunk_bytes_for(std::uint64_t disk_bytes);
/// How many chunks of that size a disk has; the last may be shorter.
std::uint64_t chunk_count(std::uint64_t disk_bytes, std::uint64_t chunk_bytes);
/// The size of chunk `index`.
std::uint64_t bytes_of_chunk(std::uint64_t index, std::uint64_t disk_bytes, std::uint64_t chunk_bytes);

inline constexpr std::uint64_t least_chunk = 256u << 10, most_chunk = 1u << 30,
                               most_disk = std::uint64_t(1) << 50;
inline constexpr std::uint64_t most_chunks = std::uint64_t(1) << 22;

/// "vda/00012/00003123": where chunk 3123 of a disk lies.
std::string chunk_path(std::string_view disk, std::uint64_t index);

/// Chunks [first, first + count).
struct ChunkRun {
    std::uint64_t first = 0, count = 0;
    bool operator==(const ChunkRun&) const = default;
};

/// Which chunks have data, ascending; runs do not touch.
class ChunkSet {
  public:
    /// At or behind the end of what is there.
    void append(std::uint64_t first, std::uint64_t count);
    const std::vector<ChunkRun>& runs() const { return runs_; }
    std::uint64_t size() const; ///< in chunks
    bool contains(std::uint64_t index) const;
    bool operator==(const ChunkSet&) const = default;

  private:
    std::vector<ChunkRun> runs_;
};

/// What a look at the frozen disk told of a run of chunks.
struct ChunkLook {
    ChunkRun run;
    bool data = false; ///< not all zeros
    bool dirty = true; ///< written since the last backup; true where that is not known
    bool operator==(const ChunkLook&) const = default;
};

/// Chunks and when they were last stored anew: nanoseconds since 1970, the modification time of their files.
struct TimedRun {
    ChunkRun run;
    std::int64_t at = 0;
    bool operator==(const TimedRun&) const = default;
};

/// The run that has the chunk; null where none has. `runs` are ascending.
const TimedRun* run_with(const std::vector<TimedRun>& runs, std::uint64_t chunk);

/// The times of the chunks that have data now: `now` for what is dirty or had no time in `before`, else the
/// time that it had. Both are ascending; `looks` covers the disk.
std::vector<TimedRun> next_times(const std::vector<ChunkLook>& looks, const std::vector<TimedRun>& before,
                                 std::int64_t now);

ChunkSet chunks_of(const std::vector<TimedRun>& times);

} // namespace blockhost::backup
