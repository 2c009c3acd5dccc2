// SPDX-License-Identifier: MIT
#include "base/files/tar.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost {

namespace {

constexpr std::size_t block = 512;
using Header = std::array<char, block>;

/// Where a field is in the head, and how many bytes it has.
struct Field {
    std::size_t at, size;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, size_field{124, 12}, mtime_field{136, 12},
    sum_field{148, 8}, link_field{157, 100}, prefix_field{345, 155};
constexpr std::size_t type_at = 156, magic_at = 257;
constexpr std::string_view ustar_magic("ustar\0", 6); ///< GNU's has a blank there, and no prefix

constexpr char long_name = 'L', long_link = 'K';

/// Reads `count` bytes; false at the archive's end, before the first of them.
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

std::string_view raw(const Header& header, Field field) {
    return {header.data() + field.at, field.size};
}

std::string_view words(const Header& header, Field field) {
    const std::string_view all = raw(header, field);
    return all.substr(0, std::min(all.find('\0'), all.size()));
}

/// GNU's way with numbers that octal digits have no room for.
std::uint64_t base_256(std::string_view bytes) {
    constexpr unsigned mark = 0x80, bits = 8;
    std::uint64_t value = static_cast<unsigned char>(bytes[0]) & ~mark;
    for (const char c : bytes.substr(1)) {
        if (value >> (64 - bits) != 0) throw no_archive("has a head that is none");
        value = value << bits | static_cast<unsigned char>(c);
    }
    if (value > static_cast<std::uint64_t>(INT64_MAX)) throw no_archive("has a head that is none");
    return value;
}

std::uint64_t octal(std::string_view digits) {
    const std::string_view trimmed = text::trim(digits);
    std::uint64_t value = 0;
    const auto [end, wrong] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value, 8);
    if (wrong != std::errc() || end != trimmed.data() + trimmed.size() ||
        value > static_cast<std::uint64_t>(INT64_MAX))
        throw no_archive("has a head that is none");
    return value;
}

std::uint64_t number(const Header& header, Field field) {
    const std::string_view all = raw(header, field);
    constexpr unsigned char positive = 0x80;
    return static_cast<unsigned char>(all[0]) == positive ? base_256(all) : octal(words(header, field));
}

/// A time or mode that cannot be read is none; before 1970, GNU writes what only looks like a number.
std::uint64_t number_or_none(const Header& header, Field field) {
    try {
        return number(header, field);
    } catch (const Error&) {
        return 0;
    }
}

/// The sum counts its own field as blanks.
void require_sum(const Header& header) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < header.size(); ++i)
        sum += i >= sum_field.at && i < sum_field.at + sum_field.size ? ' '
                                                                      : static_cast<unsigned char>(header[i]);
    if (octal(words(header, sum_field)) != sum) throw no_archive("has a head that is none");
}

std::string path_in(const Header& header) {
    const std::string_view name = words(header, name_field);
    const bool has_prefix = std::string_view(header.data() + magic_at, ustar_magic.size()) == ustar_magic;
    const std::string_view prefix = has_prefix ? words(header, prefix_field) : std::string_view();
    return prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
}

TarEntry::Kind kind_of(char type) {
    switch (type) {
    case '0':
    case '\0':
        return TarEntry::Kind::file;
    case '1':
        return TarEntry::Kind::hardlink;
    case '2':
        return TarEntry::Kind::symlink;
    case '5':
        return TarEntry::Kind::folder;
    case 'x':
    case 'g':
        return TarEntry::Kind::note;
    default:
        return TarEntry::Kind::other;
    }
}

TarEntry entry_of(const Header& header) {
    constexpr mode_t permissions = 07777;
    return {.kind = kind_of(header[type_at]),
            .path = path_in(header),
            .target = std::string(words(header, link_field)),
            .bytes = number(header, size_field),
            .mode = static_cast<mode_t>(number_or_none(header, mode_field)) & permissions,
            .mtime = static_cast<std::int64_t>(number_or_none(header, mtime_field))};
}

} // namespace

Error no_archive(std::string_view what) {
    return Error(Code::invalid, "the archive " + std::string(what));
}

std::size_t TarReader::read(char* into, std::size_t most) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(most, left_));
    if (count == 0) return 0;
    if (!read_exactly(archive_, into, count)) throw no_archive("ends in the middle");
    left_ -= count;
    return count;
}

void TarReader::pass_over() {
    constexpr std::size_t piece = 64u << 10;
    std::array<char, piece> away;
    left_ += padding_; // entry_of's largest size and a block: far from the largest number
    padding_ = 0;
    while (read(away.data(), away.size()) != 0) {
        // to the next head
    }
}

std::string TarReader::long_text(std::uint64_t bytes) {
    if (bytes > longest_tar_path) throw no_archive("has a path that is too long");
    std::string text(static_cast<std::size_t>(bytes), '\0');
    read(text.data(), text.size());
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

std::optional<TarEntry> TarReader::next() {
    std::optional<std::string> path, target; // GNU's entries before the one that they are of
    for (Header header;;) {
        pass_over();
        if (!read_exactly(archive_, header.data(), header.size())) {
            if (path || target) throw no_archive("ends in the middle");
            return std::nullopt;
        }
        if (std::ranges::all_of(header, [](char c) { return c == '\0'; }))
            continue; // the end, and what fills it up
        require_sum(header);
        TarEntry entry = entry_of(header);
        left_ = entry.bytes;
        padding_ = (block - entry.bytes % block) % block;
        if (header[type_at] == long_name) {
            path = long_text(entry.bytes);
        } else if (header[type_at] == long_link) {
            target = long_text(entry.bytes);
        } else {
            if (path) entry.path = std::move(*path);
            if (target) entry.target = std::move(*target);
            return entry;
        }
    }
}

} // namespace blockhost
