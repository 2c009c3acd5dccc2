// SPDX-License-Identifier: MIT
// Writes manual pages in roff with the man macros (groff_man(7)).
#include "cli/page.hpp"

#include "cli/describe.hpp"
#include "cli/help.hpp"

#include <cstdio>

namespace blockhost::cli {

namespace {

/// The code point at text[at]; moves `at` behind it. The rows are the program's own text: valid UTF-8.
unsigned decode(std::string_view text, std::size_t& at) {
    auto first = static_cast<unsigned char>(text[at++]);
    if (first < 0xc0) return first;
    unsigned code = first >= 0xf0 ? first & 7 : first >= 0xe0 ? first & 15 : first & 31;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80)
        code = code << 6 | (static_cast<unsigned char>(text[at++]) & 63);
    return code;
}

std::string escape_character(unsigned code) {
    switch (code) {
    case '\\':
        return "\\(rs";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '"':
        return "\\(dq";
    default:
        break;
    }
    if (code < 0x80) return std::string(1, static_cast<char>(code));
    char spelled[16];
    std::snprintf(spelled, sizeof spelled, "\\[u%04X]", code);
    return spelled;
}

/// `text`, escaped so that roff shows it as it is, a leading '.' too.
std::string escape(std::string_view text) {
    std::string escaped;
    for (std::size_t at = 0; at < text.size();) escaped += escape_character(decode(text, at));
    return escaped.starts_with('.') ? "\\&" + escaped : escaped;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string roff_of(const Text& text) {
    std::string out;
    for (const Piece& piece : text) {
        switch (piece.face) {
        case Face::plain:
            out += escape(piece.text);
            break;
        case Face::bold:
            out += "\\fB" + escape(piece.text) + "\\fR";
            break;
        case Face::placeholder:
            out += "\\fI" + escape(piece.text) + "\\fR";
            break;
        }
    }
    return out;
}

/// A section's blocks. `before` is the previous block: some pairs of kinds need a macro between them.
std::string blocks_of(const Section& section) {
    using Kind = Block::Kind;
    std::string out;
    const Block* before = nullptr;
    for (const Block& block : section.blocks) {
        bool was_literal = before && before->kind == Kind::literal;
        if (was_literal && block.kind != Kind::literal) out += ".fi\n";
        if (block.kind == Kind::literal && !was_literal) out += before ? ".PP\n.nf\n" : ".nf\n";
        if (block.kind == Kind::paragraph && before) out += ".PP\n";
        if (block.kind == Kind::line && before) out += ".br\n";
        if (block.kind == Kind::entry) out += ".TP\n" + roff_of(block.tag) + "\n";
        out += roff_of(block.text) + "\n";
        before = &block;
    }
    return before && before->kind == Kind::literal ? out + ".fi\n" : out;
}

} // namespace

std::string roff(const Page& page) {
    std::string out = ".TH \"" + escape(upper(page.name)) + "\" " + std::to_string(page.number) + " \"\" \"" +
                      escape(program_name) + " " + escape(version()) + "\" \"" +
                      (page.number == 7 ? "Overview" : "System Administration") + "\"\n";
    for (const Section& section : page.sections) out += ".SH " + section.title + "\n" + blocks_of(section);
    return out;
}

} // namespace blockhost::cli
