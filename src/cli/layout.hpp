// SPDX-License-Identifier: MIT
#pragma once
/// Plain text in columns: counting, wrapping, cutting. A UTF-8 character counts as one column.

#include <string>
#include <string_view>
#include <vector>

namespace blockhost::cli {

/// The width of help, whatever the terminal.
inline constexpr std::size_t page_width = 80;

std::size_t columns(std::string_view text);

/// `text` when it fits into `width` columns; otherwise its beginning and "...".
std::string elide(std::string_view text, std::size_t width);

/// The words of `text` in lines of at most `width` columns; a longer word gets a line of its own.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// The paragraphs of `text`, which blank lines separate, wrapped to the page. Lines that start with a blank
/// stay as they are. Ends with a newline.
std::string wrap_paragraphs(std::string_view text);

/// An entry of a list: `left` indented by two, and `right` wrapped to the page in a column that starts at
/// `column`. A `left` that is too long has a line of its own.
std::string list_entry(std::string_view left, std::string_view right, std::size_t column);

} // namespace blockhost::cli
