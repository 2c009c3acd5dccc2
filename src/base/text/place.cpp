// SPDX-License-Identifier: MIT
// Lines and columns.
#include "base/text/place.hpp"

#include <algorithm>

namespace blockhost::text {

std::string place(std::string_view whole, std::size_t at) {
    const std::string_view before = whole.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t line_start = before.rfind('\n');
    const std::size_t column = before.size() - (line_start == before.npos ? 0 : line_start + 1) + 1;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

} // namespace blockhost::text
