// SPDX-License-Identifier: MIT
#pragma once
/// A manual page as data: made from the rows, printed as roff or for a terminal.

#include "cli/command.hpp"

#include <string>
#include <utility>
#include <vector>

namespace blockhost::cli {

/// How a piece of text stands out. Literal words are bold; placeholders are in italics, or in angle brackets
/// where there are none.
enum class Face { plain, bold, placeholder };

struct Piece {
    Face face = Face::plain;
    std::string text;
};
using Text = std::vector<Piece>;

Text plain(std::string_view text);
Text bold(std::string_view text);
/// Text in angle brackets becomes a placeholder.
Text with_placeholders(std::string_view text);
Text operator+(Text left, const Text& right);

struct Block {
    enum class Kind {
        paragraph,
        line,    ///< on a line of its own
        literal, ///< a line as it is
        entry,   ///< `tag`, and `text` indented below or beside it
    } kind = Kind::paragraph;
    Text text;
    Text tag = {};
};

struct Section {
    std::string title;
    std::vector<Block> blocks = {};

    void paragraph(Text text) { blocks.push_back({Block::Kind::paragraph, std::move(text)}); }
    void line(Text text) { blocks.push_back({Block::Kind::line, std::move(text)}); }
    void entry(Text tag, Text text) {
        blocks.push_back({Block::Kind::entry, std::move(text), std::move(tag)});
    }
    /// Blank lines separate paragraphs; lines that start with a blank stay as they are.
    void paragraphs(std::string_view text);
};

struct Page {
    std::string name;
    int number = 8; ///< the manual's section
    std::vector<Section> sections = {};
};

/// The page of one verb.
Page page_of(const Row& row);
/// The page of the program and its verbs.
Page program_page();

/// The page in the man macros (groff_man(7)).
std::string roff(const Page& page);
/// The page for a person to read, at most `width` columns wide where words allow it; with escape sequences
/// for Style::terminal.
enum class Style { none, terminal };
std::string page_text(const Page& page, std::size_t width, Style style);

} // namespace blockhost::cli
