// SPDX-License-Identifier: MIT
// Writes manual pages for a person at a terminal, or through a pipe.
#include "cli/page.hpp"

#include "cli/layout.hpp"

#include <algorithm>

namespace blockhost::cli {

namespace {

constexpr std::size_t text_column = 4, entry_column = 8;
constexpr std::string_view bold_on = "\033[1m", underline_on = "\033[4m", off = "\033[0m";

/// A word without blanks; its pieces may have different faces.
using Word = Text;

std::vector<Word> words_of(const Text& text) {
    std::vector<Word> words;
    bool within = false; // a word may consist of several pieces
    for (const Piece& piece : text) {
        for (std::size_t at = 0; at < piece.text.size();) {
            if (piece.text[at] == ' ') {
                within = false;
                ++at;
                continue;
            }
            std::size_t end = std::min(piece.text.find(' ', at), piece.text.size());
            if (!within) words.emplace_back();
            words.back().push_back({piece.face, piece.text.substr(at, end - at)});
            within = true;
            at = end;
        }
    }
    return words;
}

std::string shown(const Piece& piece, Style style) {
    if (piece.face == Face::plain) return piece.text;
    if (style == Style::none) return piece.face == Face::bold ? piece.text : "<" + piece.text + ">";
    return std::string(piece.face == Face::bold ? bold_on : underline_on) + piece.text + std::string(off);
}

std::size_t width_of(const Word& word, Style style) {
    std::size_t width = 0;
    for (const Piece& piece : word)
        width += columns(piece.text) + (piece.face == Face::placeholder && style == Style::none ? 2 : 0);
    return width;
}

/// The words in lines, each indented to `column`.
std::string filled(const Text& text, std::size_t column, std::size_t width, Style style) {
    std::string out;
    std::size_t used = 0; // 0: no line yet
    for (const Word& word : words_of(text)) {
        std::size_t length = width_of(word, style);
        if (used == 0 || used + 1 + length > width) {
            out += (used == 0 ? "" : "\n") + std::string(column, ' ');
            used = column + length;
        } else {
            out += " ";
            used += 1 + length;
        }
        for (const Piece& piece : word) out += shown(piece, style);
    }
    return out + "\n";
}

std::string block_text(const Block& block, std::size_t width, Style style) {
    switch (block.kind) {
    case Block::Kind::paragraph:
    case Block::Kind::line:
        return filled(block.text, text_column, width, style);
    case Block::Kind::literal: {
        std::string line(text_column, ' ');
        for (const Piece& piece : block.text) line += shown(piece, style);
        return line + "\n";
    }
    case Block::Kind::entry:
        return filled(block.tag, text_column, width, style) + filled(block.text, entry_column, width, style);
    }
    return {};
}

/// Whether a blank line stands between two blocks.
bool apart(const Block& before, const Block& block) {
    return before.kind != block.kind ||
           (block.kind != Block::Kind::line && block.kind != Block::Kind::literal);
}

} // namespace

std::string page_text(const Page& page, std::size_t width, Style style) {
    std::string out;
    for (const Section& section : page.sections) {
        if (!out.empty()) out += "\n";
        out += shown({Face::bold, section.title}, style) + "\n";
        const Block* before = nullptr;
        for (const Block& block : section.blocks) {
            if (before && apart(*before, block)) out += "\n";
            out += block_text(block, width, style);
            before = &block;
        }
    }
    return out;
}

} // namespace blockhost::cli
