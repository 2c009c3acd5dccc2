// SPDX-License-Identifier: MIT
#include "imgtree/fill.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::imgtree {

namespace {

constexpr std::size_t block = 512, piece = 64u << 10;
constexpr std::uint64_t most_skipped = 1u << 30;

Error no_archive(std::string_view what) {
    return Error(Code::invalid, "the archive " + std::string(what));
}

/// Fills `into`; false at the archive's end, before its first byte.
bool read_exactly(int archive, char* into, std::size_t count) {
    std::size_t got = 0;
    while (got < count) {
        const ssize_t n = ::read(archive, into + got, count - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw errno_error("cannot read", "the archive", errno);
        if (n == 0 && got == 0) return false;
        if (n == 0) throw no_archive("ends in the middle");
        got += static_cast<std::size_t>(n);
    }
    return true;
}

void skip(int archive, std::uint64_t count) {
    if (count > most_skipped) throw no_archive("has a file that is too large");
    std::array<char, piece> away;
    while (count > 0) {
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, away.size()));
        if (!read_exactly(archive, away.data(), part)) throw no_archive("ends in the middle");
        count -= part;
    }
}

std::uint64_t padding(std::uint64_t bytes) {
    return (block - bytes % block) % block;
}

using Header = std::array<char, block>;

std::string_view field(const Header& header, std::size_t at, std::size_t size) {
    const std::string_view all(header.data() + at, size);
    return all.substr(0, std::min(all.find('\0'), size));
}

std::uint64_t octal(std::string_view digits) {
    const std::string_view trimmed = text::trim(digits);
    std::uint64_t value = 0;
    const auto [end, wrong] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value, 8);
    if (wrong != std::errc() || end != trimmed.data() + trimmed.size())
        throw no_archive("has a head that is none");
    return value;
}

/// That many, at most a piece.
std::string_view zeros(std::size_t count) {
    static const std::string all(piece, '\0');
    return std::string_view(all).substr(0, count);
}

/// POSIX.1-1988 (ustar): the sum counts its own field as blanks.
void require_sum(const Header& header) {
    constexpr std::size_t at = 148, size = 8;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < header.size(); ++i)
        sum += i >= at && i < at + size ? ' ' : static_cast<unsigned char>(header[i]);
    if (octal(field(header, at, size)) != sum) throw no_archive("has a head that is none");
}

std::string path_of(const Header& header) {
    constexpr std::size_t name_size = 100, prefix_at = 345, prefix_size = 155;
    const std::string_view name = field(header, 0, name_size), prefix = field(header, prefix_at, prefix_size);
    std::string path = prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
    return path.starts_with('/') ? path.substr(1) : path;
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

void Filling::put(std::size_t disk, std::string_view bytes, std::uint64_t at) {
    if (bytes != zeros(bytes.size())) disks_[disk].write(bytes, at);
}

void Filling::put_over(std::size_t disk, std::string_view bytes, std::uint64_t at) {
    std::string there(bytes.size(), '\0');
    disks_[disk].read(there.data(), there.size(), at);
    if (there == bytes) return;
    if (bytes == zeros(bytes.size()))
        disks_[disk].zero(bytes.size(), at);
    else
        disks_[disk].write(bytes, at);
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

void Filling::take(int archive, const Place& place, std::uint64_t bytes) {
    const Disk& disk = plan_.disks[place.disk];
    auto& missing = missing_[place.disk];
    const std::string path = backup::chunk_path(disk.name, place.chunk);
    if (place.chunk >= missing.size() || !missing[place.chunk])
        throw no_archive(fmt::format("has {}, which is none of the backup's chunks, or had it before", path));
    if (bytes != backup::bytes_of_chunk(place.chunk, disk.bytes, disk.chunk_bytes))
        throw no_archive(fmt::format("has {} with {} bytes", path, bytes));
    const auto& showing = showing_[place.disk];
    const bool over = place.chunk < showing.size() && showing[place.chunk];
    std::string part(piece, '\0');
    for (std::uint64_t done = 0; done < bytes;) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(piece, bytes - done));
        if (!read_exactly(archive, part.data(), count)) throw no_archive("ends in the middle");
        const std::string_view got(part.data(), count);
        const std::uint64_t at = place.chunk * disk.chunk_bytes + done;
        over ? put_over(place.disk, got, at) : put(place.disk, got, at);
        done += count;
    }
    missing[place.chunk] = false;
}

void Filling::read(int archive) {
    constexpr std::size_t type_at = 156, size_at = 124, size_size = 12;
    constexpr char file = '0', old_file = '\0', folder = '5', extended = 'x', extended_for_all = 'g';
    for (Header header; read_exactly(archive, header.data(), header.size());) {
        if (std::ranges::all_of(header, [](char c) { return c == '\0'; }))
            continue; // the end, and what fills it up
        require_sum(header);
        const std::uint64_t bytes = octal(field(header, size_at, size_size));
        const std::string path = path_of(header);
        const char type = header[type_at];
        const bool is_file = type == file || type == old_file;
        if (const auto chunk = is_file ? place(path) : std::nullopt)
            take(archive, *chunk, bytes);
        else if (type == folder || type == extended || type == extended_for_all ||
                 (is_file && std::ranges::find(plan_.files, path, &SmallFile::name) != plan_.files.end()))
            skip(archive, bytes);
        else
            throw no_archive(fmt::format("has what no backup has: {}", text::printable(path)));
        skip(archive, padding(bytes));
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
