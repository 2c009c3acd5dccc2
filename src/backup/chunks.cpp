// SPDX-License-Identifier: MIT
#include "backup/chunks.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

constexpr std::uint64_t chunks_at_most = 262'144, chunks_a_folder = 256;

void append(std::vector<TimedRun>& all, std::uint64_t first, std::uint64_t count, std::int64_t at) {
    if (count == 0) return;
    if (!all.empty() && all.back().at == at && all.back().run.first + all.back().run.count == first)
        all.back().run.count += count;
    else
        all.push_back({{first, count}, at});
}

} // namespace

std::uint64_t chunk_bytes_for(std::uint64_t disk_bytes) {
    std::uint64_t bytes = least_chunk;
    while (chunk_count(disk_bytes, bytes) > chunks_at_most) bytes *= 2;
    return bytes;
}

std::uint64_t chunk_count(std::uint64_t disk_bytes, std::uint64_t chunk_bytes) {
    return disk_bytes / chunk_bytes + (disk_bytes % chunk_bytes != 0 ? 1 : 0);
}

std::uint64_t bytes_of_chunk(std::uint64_t index, std::uint64_t disk_bytes, std::uint64_t chunk_bytes) {
    return std::min(chunk_bytes, disk_bytes - index * chunk_bytes);
}

std::string chunk_path(std::string_view disk, std::uint64_t index) {
    return fmt::format("{}/{:05}/{:08}", disk, index / chunks_a_folder, index);
}

void ChunkSet::append(std::uint64_t first, std::uint64_t count) {
    if (count == 0) return;
    if (!runs_.empty() && runs_.back().first + runs_.back().count == first)
        runs_.back().count += count;
    else
        runs_.push_back({first, count});
}

std::uint64_t ChunkSet::size() const {
    std::uint64_t all = 0;
    for (const ChunkRun& run : runs_) all += run.count;
    return all;
}

bool ChunkSet::contains(std::uint64_t index) const {
    const auto after = std::ranges::upper_bound(runs_, index, {}, &ChunkRun::first);
    if (after == runs_.begin()) return false;
    const ChunkRun& run = *std::prev(after);
    return index - run.first < run.count;
}

const TimedRun* run_with(const std::vector<TimedRun>& runs, std::uint64_t chunk) {
    const auto after =
        std::ranges::upper_bound(runs, chunk, {}, [](const TimedRun& each) { return each.run.first; });
    if (after == runs.begin()) return nullptr;
    const TimedRun& run = *std::prev(after);
    return chunk - run.run.first < run.run.count ? &run : nullptr;
}

std::vector<TimedRun> next_times(const std::vector<ChunkLook>& looks, const std::vector<TimedRun>& before,
                                 std::int64_t now) {
    std::vector<TimedRun> all;
    auto old = before.begin();
    for (const ChunkLook& look : looks) {
        if (!look.data) continue;
        const std::uint64_t end = look.run.first + look.run.count;
        for (std::uint64_t at = look.run.first; at < end;) {
            while (old != before.end() && old->run.first + old->run.count <= at) ++old;
            const bool timed = old != before.end() && old->run.first <= at;
            const std::uint64_t until = old == before.end() ? end
                                        : timed             ? std::min(end, old->run.first + old->run.count)
                                                            : std::min(end, old->run.first);
            append(all, at, until - at, timed && !look.dirty ? old->at : now);
            at = until;
        }
    }
    return all;
}

ChunkSet chunks_of(const std::vector<TimedRun>& times) {
    ChunkSet chunks;
    for (const TimedRun& each : times) chunks.append(each.run.first, each.run.count);
    return chunks;
}

} // namespace blockhost::backup
