// SPDX-License-Identifier: MIT
#pragma once
/// Small text helpers. Everything here is ASCII and independent of the locale.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::text {

std::string_view trim(std::string_view s);
std::vector<std::string> split(std::string_view s, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string lower(std::string_view s);

/// All of `s` as a base-10 integer with an optional '-'; nothing otherwise (blanks, '+', overflow).
std::optional<std::int64_t> parse_int(std::string_view s);

std::string to_hex(std::span<const unsigned char> bytes);
/// Lower-case hex digits, as to_hex makes them.
bool is_hex(char c);
/// `least` to `most` of them, and nothing else.
bool is_hex(std::string_view s, std::size_t least, std::size_t most);

/// `s` made safe for one line of a terminal: control characters and non-UTF-8 bytes become \xNN; longer text
/// is cut at `max` bytes and ends with "…". For quoting outside text in a message.
std::string printable(std::string_view s, std::size_t max = 200);

/// The last `count` lines of `s` that are not blank, trimmed and printable, each cut at `max` bytes.
std::vector<std::string> last_lines(std::string_view s, std::size_t count, std::size_t max = 200);

/// The candidate nearest to `word` by edit distance, if near enough for a "did you mean".
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// "1 GiB", "1.5 GiB", "512 MiB": binary units, at most one decimal.
std::string human_bytes(std::uint64_t bytes);

} // namespace blockhost::text
