// SPDX-License-Identifier: MIT
#pragma once
/// Positions in a text, as messages name them.

#include <cstddef>
#include <string>
#include <string_view>

namespace blockhost::text {

/// "line L, column C" of the byte at `at`, both counted from 1; columns count bytes.
std::string place(std::string_view whole, std::size_t at);

} // namespace blockhost::text
