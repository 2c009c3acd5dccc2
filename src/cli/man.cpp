// Manual pages in roff with the man macros (groff_man(7)).
#include "cli/help.hpp"

#include "base/text.hpp"
#include "cli/describe.hpp"

#include <cstdio>

namespace blockhost::cli {

namespace {

/// The code point at text[at]; moves `at` behind it. The rows are our own text: valid UTF-8.
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

/// `text` so that roff shows it as it is, a leading '.' too.
std::string escape(std::string_view text) {
    std::string escaped;
    for (std::size_t at = 0; at < text.size();) escaped += escape_character(decode(text, at));
    return escaped.starts_with('.') ? "\\&" + escaped : escaped;
}

/// Escapes; what stands in angle brackets becomes italic without them.
std::string italic_placeholders(std::string_view text) {
    std::string roff;
    while (!text.empty()) {
        auto open = text.find('<');
        auto close = text.find('>', open == std::string_view::npos ? 0 : open);
        if (open == std::string_view::npos || close == std::string_view::npos) return roff + escape(text);
        roff +=
            escape(text.substr(0, open)) + "\\fI" + escape(text.substr(open + 1, close - open - 1)) + "\\fR";
        text.remove_prefix(close + 1);
    }
    return roff;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string head(std::string_view name) {
    return ".TH \"" + escape(upper(name)) + "\" 8 \"\" \"" + escape(program_name) + " " + escape(version()) +
           "\" \"System Administration\"\n";
}

std::string section(std::string_view title) {
    return ".SH " + std::string(title) + "\n";
}

/// A tagged paragraph; `tag` is roff already.
std::string entry(const std::string& tag, std::string_view text) {
    return ".TP\n" + tag + "\n" + escape(text) + "\n";
}

std::string bold(std::string_view text) {
    return "\\fB" + escape(text) + "\\fR";
}

/// Blank lines separate paragraphs, lines that start with a blank stay as they are.
std::string paragraphs(std::string_view text) {
    std::string roff;
    bool literal = false;
    for (const std::string& line : text::split(text::trim(text), '\n')) {
        bool indented = line.starts_with(' ');
        if (indented != literal) roff += indented ? ".PP\n.nf\n" : ".fi\n";
        literal = indented;
        roff += line.empty() ? std::string(".PP") : escape(line);
        roff += "\n";
    }
    return literal ? roff + ".fi\n" : roff;
}

std::string synopsis_of(const Row& row) {
    std::string verb_form = std::string(program_name) + " " + std::string(row.verb);
    std::string roff;
    for (std::string_view called_as : {row.contract_name, std::string_view(verb_form)}) {
        if (called_as.empty()) continue;
        std::string line = synopsis(row, called_as);
        if (!roff.empty()) roff += ".br\n";
        roff += bold(called_as) + italic_placeholders(std::string_view(line).substr(called_as.size())) + "\n";
    }
    return section("SYNOPSIS") + roff;
}

std::string option_tag(const Option& option) {
    std::string spelling = option_spelling(option);
    auto value = spelling.find(" <");
    std::string_view names = std::string_view(spelling).substr(0, value);
    return value == std::string::npos
               ? bold(names)
               : bold(names) + italic_placeholders(std::string_view(spelling).substr(value));
}

std::string page_of(const Row& row) {
    std::string name = man_page_name(row);
    std::string verb_name = std::string(program_name) + "-" + std::string(row.verb);
    std::string names = name == verb_name ? escape(name) : escape(name) + ", " + escape(verb_name);
    std::string page =
        head(name) + section("NAME") + names + " \\- " + escape(row.summary) + "\n" + synopsis_of(row);
    page += section("DESCRIPTION") + escape(sentence(row.summary)) + "\n";
    if (!row.details.empty()) page += ".PP\n" + paragraphs(row.details);
    if (!row.operands.empty()) page += section("OPERANDS");
    for (const Operand& operand : row.operands)
        page += entry(italic_placeholders(placeholder(operand.name)), operand.help);
    page += section("OPTIONS");
    for (const Option* option : shown_options(row)) page += entry(option_tag(*option), option_text(*option));
    page += section("EXIT STATUS");
    for (const auto& [status, meaning] : exit_statuses(row)) page += entry(bold(status), meaning);
    return page + section("SEE ALSO") + ".BR " + escape(program_name) + " (8)\n";
}

std::string overview_page() {
    std::string page = head(program_name) + section("NAME") + escape(program_name) +
                       " \\- provisions BlockHost's virtual machines with libvirt\n";
    page +=
        section("SYNOPSIS") + bold(program_name) + italic_placeholders(" <verb> [operands] [options]") + "\n";
    page += section("DESCRIPTION") +
            "One program, one verb a call. A verb with a command name of its own, shown "
            "beside it, can be called by that name as well.\n";
    page += section("VERBS");
    for (const Row* row : shown_rows()) {
        std::string tag = bold(row->verb);
        if (!row->contract_name.empty()) tag += " (" + bold(row->contract_name) + ")";
        page += entry(tag, sentence(row->summary));
    }
    page += section("OPTIONS") +
            entry(bold("-h") + ", " + bold("--help"), "Show the verbs, or the help of the verb.") +
            entry(bold("--version"), "Show the version.");
    page += section("SEE ALSO");
    std::vector<const Row*> shown = shown_rows();
    for (const Row* row : shown)
        page += ".BR " + escape(man_page_name(*row)) + " (8)" + (row == shown.back() ? "\n" : ",\n");
    return page;
}

} // namespace

std::string man_page_name(const Row& row) {
    if (!row.contract_name.empty()) return std::string(row.contract_name);
    return std::string(program_name) + "-" + std::string(row.verb);
}

std::string man_page(const Row* row) {
    return row ? page_of(*row) : overview_page();
}

} // namespace blockhost::cli
