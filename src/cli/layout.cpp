// SPDX-License-Identifier: MIT
// Plain text in columns.
#include "cli/layout.hpp"

#include "base/text/text.hpp"
#include "base/text/utf8.hpp"

namespace blockhost::cli {

namespace {

/// The first `count` characters.
std::string_view beginning(std::string_view text, std::size_t count) {
    std::size_t at = 0;
    for (; at < text.size(); ++at)
        if (!text::continues_character(text[at]) && count-- == 0) break;
    return text.substr(0, at);
}

} // namespace

std::size_t columns(std::string_view text) {
    return text::characters(text);
}

std::string elide(std::string_view text, std::size_t width) {
    if (columns(text) <= width) return std::string(text);
    if (width <= 3) return std::string(beginning(text, width));
    return std::string(beginning(text, width - 3)) + "...";
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    std::size_t used = 0;
    for (const std::string& word : text::split(text, ' ')) {
        if (word.empty()) continue;
        std::size_t length = columns(word);
        if (lines.empty() || used + 1 + length > width) {
            lines.push_back(word);
            used = length;
        } else {
            lines.back() += " " + word;
            used += 1 + length;
        }
    }
    return lines;
}

std::string wrap_paragraphs(std::string_view text) {
    std::string page, paragraph;
    auto end_paragraph = [&] {
        for (const std::string& line : wrap(paragraph, page_width)) page += line + "\n";
        paragraph.clear();
    };
    for (const std::string& line : text::split(text::trim(text), '\n')) {
        if (!line.empty() && line[0] != ' ') {
            paragraph += " " + line;
            continue;
        }
        end_paragraph();
        page += line + "\n";
    }
    end_paragraph();
    return page;
}

std::string list_entry(std::string_view left, std::string_view right, std::size_t column) {
    std::string entry = "  " + std::string(left);
    std::size_t at = columns(entry);
    std::vector<std::string> lines = wrap(right, page_width - column);
    if (lines.empty()) return entry + "\n";
    if (at + 2 > column) {
        entry += "\n";
        at = 0;
    }
    for (const std::string& line : lines) {
        entry += std::string(column - at, ' ') + line + "\n";
        at = 0;
    }
    return entry;
}

} // namespace blockhost::cli
