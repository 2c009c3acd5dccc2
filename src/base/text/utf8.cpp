// SPDX-License-Identifier: MIT
// Characters of UTF-8 text.
#include "base/text/utf8.hpp"

#include <algorithm>
#include <functional>

namespace blockhost::text {

std::optional<CodePoint> code_point(std::string_view s, std::size_t at) {
    const auto first = static_cast<unsigned char>(s[at]);
    if (first < 0x80) return CodePoint{first, 1};
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc0 || first > 0xf4 || s.size() - at < length) return std::nullopt;
    char32_t value = first & (0x7f >> length);
    for (const char c : s.substr(at + 1, length - 1)) {
        if (!continues_character(c)) return std::nullopt;
        value = value << 6 | (static_cast<unsigned char>(c) & 0x3f);
    }
    constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < smallest[length] || value > 0x10ffff || surrogate) return std::nullopt;
    return CodePoint{value, length};
}

std::size_t characters(std::string_view s) {
    return static_cast<std::size_t>(std::ranges::count_if(s, std::not_fn(continues_character)));
}

} // namespace blockhost::text
