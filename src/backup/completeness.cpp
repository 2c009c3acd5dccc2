// SPDX-License-Identifier: MIT
#include "backup/completeness.hpp"

#include <fmt/format.h>
#include <map>

namespace blockhost::backup {

namespace {

struct Tally {
    std::uint64_t chunks = 0, bytes = 0;
};

Tally wanted(const ManifestDisk& disk) {
    Tally tally{disk.chunks.size(), 0};
    for (const ChunkRun& run : disk.chunks.runs())
        for (std::uint64_t i = run.first; i < run.first + run.count; ++i)
            tally.bytes += bytes_of_chunk(i, disk.bytes, disk.chunk_bytes);
    return tally;
}

/// By disk.
using Tallies = std::map<std::string, Tally>;

std::string lacking(Tallies& seen, const Manifest& manifest) {
    for (const ManifestDisk& disk : manifest.disks) {
        const Tally there = seen[disk.name], all = wanted(disk);
        if (there.chunks != all.chunks)
            return fmt::format("{} of {} chunks of {} are there", there.chunks, all.chunks, disk.name);
        if (there.bytes != all.bytes)
            return fmt::format("{} of {} bytes of {} are there", there.bytes, all.bytes, disk.name);
    }
    return "";
}

} // namespace

Comparison compare(const Repository& repository, const std::string& snapshot, const Manifest& manifest) {
    Tallies seen;
    const auto list = [&] {
        seen.clear();
        return repository.list(snapshot, [&](const Node& node) {
            const std::size_t end = node.path.find('/', 1);
            if (!node.is_file || end == node.path.npos) return;
            Tally& tally = seen[node.path.substr(1, end - 1)];
            ++tally.chunks;
            tally.bytes += node.bytes;
        });
    };
    std::optional<Snapshot> listed;
    try {
        listed = list();
    } catch (const Error& error) {
        if (error.code() != Code::program) throw;
        listed = list();
    }
    return {std::move(*listed), lacking(seen, manifest)};
}

std::string missing_in(const Restic& restic, const Backup& backup) {
    try {
        return compare(restic, backup.id, manifest_of(restic, backup)).missing;
    } catch (const Error& error) {
        if (error.code() != Code::invalid && error.code() != Code::not_found) throw;
        return error.message();
    }
}

} // namespace blockhost::backup
