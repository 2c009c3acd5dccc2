// SPDX-License-Identifier: MIT
// ASCII text helpers.
#include "base/text/text.hpp"

#include "base/text/utf8.hpp"

#include <algorithm>
#include <charconv>

namespace blockhost::text {

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";
constexpr std::string_view hex_digits = "0123456789abcdef";

/// Control characters, and format characters that reorder or hide text on a terminal.
bool hides_or_controls(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/// Optimal string alignment distance: an insertion, deletion, replacement or swap of neighbours costs 1.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

} // namespace

std::string_view trim(std::string_view s) {
    auto first = s.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return s.substr(first, s.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string> split(std::string_view s, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        auto at = s.find(separator);
        parts.emplace_back(s.substr(0, at));
        if (at == std::string_view::npos) return parts;
        s.remove_prefix(at + 1);
    }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string out;
    for (const std::string& part : parts) {
        if (&part != &parts.front()) out += separator;
        out += part;
    }
    return out;
}

std::string lower(std::string_view s) {
    std::string out(s);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::optional<std::int64_t> parse_int(std::string_view s) {
    std::int64_t value = 0;
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value, 10);
    if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
    return value;
}

std::string to_hex(std::span<const unsigned char> bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (unsigned char b : bytes) {
        out += hex_digits[b >> 4];
        out += hex_digits[b & 15];
    }
    return out;
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_hex(std::string_view s, std::size_t least, std::size_t most) {
    return s.size() >= least && s.size() <= most && std::ranges::all_of(s, [](char c) { return is_hex(c); });
}

std::string printable(std::string_view s, std::size_t max) {
    std::string out;
    while (!s.empty()) {
        const auto c = code_point(s);
        const std::size_t length = c ? c->length : 1;
        std::string piece(s.substr(0, length));
        if (!c || hides_or_controls(c->value)) {
            piece.clear();
            for (char byte : s.substr(0, length)) {
                auto b = static_cast<unsigned char>(byte);
                piece += {'\\', 'x', hex_digits[b >> 4], hex_digits[b & 15]};
            }
        }
        if (out.size() + piece.size() > max) return out + "…";
        out += piece;
        s.remove_prefix(length);
    }
    return out;
}

std::vector<std::string> last_lines(std::string_view s, std::size_t count, std::size_t max) {
    std::vector<std::string> lines;
    for (const std::string& line : split(s, '\n'))
        if (const auto trimmed = trim(line); !trimmed.empty()) lines.push_back(printable(trimmed, max));
    if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    return lines;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::size_t best = std::clamp<std::size_t>(word.size() / 3, 1, 3) + 1;
    std::optional<std::string_view> found;
    for (std::string_view candidate : candidates) {
        std::size_t d = distance(word, candidate);
        if (d >= best || d >= candidate.size()) continue;
        best = d;
        found = candidate;
    }
    return found;
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    while (unit < 6 && bytes >> (10 * (unit + 1)) != 0) ++unit;
    std::uint64_t size = std::uint64_t{1} << (10 * unit);
    std::uint64_t tenths = bytes / size * 10 + (bytes % size * 10 + size / 2) / size;
    if (tenths >= 10240 && unit < 6) { // rounding carried into the next unit
        tenths = 10;
        ++unit;
    }
    std::string out = std::to_string(tenths / 10);
    if (tenths % 10 != 0) out += "." + std::to_string(tenths % 10);
    return out + " " + std::string(units[unit]);
}

} // namespace blockhost::text
