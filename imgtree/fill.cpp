// SPDX-License-Identifier: MIT
#include "imgtree/fill.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::imgtree {

namespace {

constexpr std::size_t piece = std::size_t{1} << 20;
constexpr std::size_t cluster = 64u << 10; ///< qcow2's: less takes no less room
constexpr std::uint64_t most_skipped = 1u << 30;

void require_skippable(const TarEntry& entry) {
    if (entry.bytes > most_skipped) throw no_archive("has a file that is too large");
}

/// That many, at most a piece.
std::string_view zeros(std::size_t count) {
    static const std::string all(piece, '\0');
    return std::string_view(all).substr(0, count);
}

} // namespace

Filling::Filling(Plan plan, std::vector<NbdDisk> disks) : plan_(std::move(plan)), disks_(std::move(disks)) {
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        const Disk& disk = plan_.disks[i];
        if (disks_[i].bytes() != disk.bytes)
            throw Error(Code::io, fmt::format("{} has {} bytes, and has to have {}", disk.name,
                                              disks_[i].bytes(), disk.bytes));
        std::vector<bool> chunks(backup::chunk_count(disk.bytes, disk.chunk_bytes));
        for (const backup::TimedRun& each : disk.times)
            for (std::uint64_t at = 0; at < each.run.count; ++at) chunks[each.run.first + at] = true;
        missing_.push_back(std::move(chunks));
        showing_.emplace_back();
        if (!disk.overlay) continue;
        for (const backup::ChunkLook& seen : disks_[i].look())
            showing_.back().insert(showing_.back().end(), seen.run.count, seen.data);
    }
}

void Filling::put(std::size_t disk, std::string_view bytes, std::string_view there, std::uint64_t at) {
    enum class What { nothing, zeros, bytes };
    const auto wanted = [&](std::size_t from) {
        const std::string_view now = bytes.substr(from, cluster);
        if (now == there.substr(from, cluster)) return What::nothing;
        return now == zeros(now.size()) ? What::zeros : What::bytes;
    };
    for (std::size_t from = 0, to = 0; from < bytes.size(); from = to) {
        const What what = wanted(from);
        do to = std::min(to + cluster, bytes.size());
        while (to < bytes.size() && wanted(to) == what);
        if (what == What::zeros) disks_[disk].zero(to - from, at + from);
        if (what == What::bytes) disks_[disk].write(std::string(bytes.substr(from, to - from)), at + from);
    }
}

void Filling::clear_what_shows_through(std::size_t i) {
    const Disk& disk = plan_.disks[i];
    std::vector<bool> left = showing_[i];
    for (const backup::TimedRun& each : disk.times)
        for (std::uint64_t at = 0; at < each.run.count && !left.empty(); ++at)
            left[each.run.first + at] = false;
    for (std::uint64_t chunk = 0; chunk < left.size(); ++chunk)
        if (left[chunk])
            disks_[i].zero(backup::bytes_of_chunk(chunk, disk.bytes, disk.chunk_bytes),
                           chunk * disk.chunk_bytes);
}

std::optional<Filling::Place> Filling::place(std::string_view path) const {
    const std::size_t end = path.find('/'), last = path.rfind('/');
    if (end == path.npos) return std::nullopt;
    const auto disk = std::ranges::find(plan_.disks, path.substr(0, end), &Disk::name);
    const auto chunk = text::parse_int(path.substr(last + 1));
    if (disk == plan_.disks.end() || !chunk || *chunk < 0) return std::nullopt;
    const Place place{static_cast<std::size_t>(disk - plan_.disks.begin()),
                      static_cast<std::uint64_t>(*chunk)};
    if (path != backup::chunk_path(disk->name, place.chunk)) return std::nullopt;
    return place;
}

void Filling::take(TarReader& archive, const Place& place, std::uint64_t bytes) {
    const Disk& disk = plan_.disks[place.disk];
    auto& missing = missing_[place.disk];
    const std::string path = backup::chunk_path(disk.name, place.chunk);
    if (place.chunk >= missing.size() || !missing[place.chunk])
        throw no_archive(fmt::format("has {}, which is none of the backup's chunks, or had it before", path));
    if (bytes != backup::bytes_of_chunk(place.chunk, disk.bytes, disk.chunk_bytes))
        throw no_archive(fmt::format("has {} with {} bytes", path, bytes));
    const auto& showing = showing_[place.disk];
    const bool over = place.chunk < showing.size() && showing[place.chunk];
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(piece, bytes));
    std::string part(most, '\0'), shown(over ? most : 0, '\0');
    for (std::uint64_t done = 0; done < bytes;) {
        const std::size_t count = archive.read(part.data(), part.size());
        const std::uint64_t at = place.chunk * disk.chunk_bytes + done;
        if (over) disks_[place.disk].read(shown.data(), count, at);
        put(place.disk, std::string_view(part).substr(0, count),
            over ? std::string_view(shown).substr(0, count) : zeros(count), at);
        done += count;
    }
    missing[place.chunk] = false;
}

void Filling::read(int from) {
    using Kind = TarEntry::Kind;
    TarReader archive(from);
    while (const auto entry = archive.next()) {
        const std::string_view all = entry->path;
        const std::string_view path = all.substr(all.starts_with('/') ? 1 : 0);
        const bool is_file = entry->kind == Kind::file;
        if (const auto chunk = is_file ? place(path) : std::nullopt)
            take(archive, *chunk, entry->bytes);
        else if (entry->kind == Kind::folder || entry->kind == Kind::note ||
                 (is_file && std::ranges::find(plan_.files, path, &SmallFile::name) != plan_.files.end()))
            require_skippable(*entry);
        else
            throw no_archive(fmt::format("has what no backup has: {}", text::printable(path)));
    }
}

void Filling::finish() {
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        const auto at = std::ranges::find(missing_[i], true);
        if (at != missing_[i].end())
            throw no_archive(fmt::format(
                "lacks {}", backup::chunk_path(plan_.disks[i].name,
                                               static_cast<std::uint64_t>(at - missing_[i].begin()))));
        clear_what_shows_through(i);
        disks_[i].finish();
    }
}

} // namespace blockhost::imgtree
