// SPDX-License-Identifier: MIT
#pragma once
/// Characters of UTF-8 text.

#include <cstddef>
#include <optional>
#include <string_view>

namespace blockhost::text {

struct CodePoint {
    char32_t value;
    std::size_t length; ///< bytes
};

/// The code point that begins at byte `at` of `s`; nothing when the bytes there are not UTF-8 (RFC 3629: in
/// the shortest form, no surrogates, at most U+10FFFF). `at` is less than the size.
std::optional<CodePoint> code_point(std::string_view s, std::size_t at = 0);

/// Whether the byte is one of a character's other than its first.
constexpr bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// How many characters `s` has. A byte that is not UTF-8 counts as one unless it could continue a character.
std::size_t characters(std::string_view s);

} // namespace blockhost::text
