// SPDX-License-Identifier: MIT
// Makes manual pages from the rows.
#include "cli/page.hpp"

#include "base/text/text.hpp"
#include "cli/describe.hpp"
#include "cli/help.hpp"

namespace blockhost::cli {

Text plain(std::string_view text) {
    return {{Face::plain, std::string(text)}};
}

Text bold(std::string_view text) {
    return {{Face::bold, std::string(text)}};
}

Text with_placeholders(std::string_view text) {
    Text pieces;
    while (!text.empty()) {
        auto open = text.find('<');
        auto close = text.find('>', open == std::string_view::npos ? 0 : open);
        if (open == std::string_view::npos || close == std::string_view::npos) return pieces + plain(text);
        if (open > 0) pieces.push_back({Face::plain, std::string(text.substr(0, open))});
        pieces.push_back({Face::placeholder, std::string(text.substr(open + 1, close - open - 1))});
        text.remove_prefix(close + 1);
    }
    return pieces;
}

Text operator+(Text left, const Text& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

void Section::paragraphs(std::string_view text) {
    std::string paragraph;
    auto end_paragraph = [&] {
        if (!paragraph.empty()) this->paragraph(plain(paragraph));
        paragraph.clear();
    };
    for (const std::string& line : text::split(text::trim(text), '\n')) {
        if (!line.empty() && line[0] != ' ') {
            paragraph += (paragraph.empty() ? "" : " ") + line;
            continue;
        }
        end_paragraph();
        if (!line.empty()) blocks.push_back({Block::Kind::literal, plain(line)});
    }
    end_paragraph();
}

namespace {

std::string verb_form(const Row& row) {
    return std::string(program_name) + " " + std::string(row.verb);
}

Section name_section(const Row& row) {
    std::string name = man_page_name(row),
                verb_name = std::string(program_name) + "-" + std::string(row.verb);
    Section section{"NAME"};
    section.paragraph(
        plain((name == verb_name ? name : name + ", " + verb_name) + " - " + std::string(row.summary)));
    return section;
}

Section synopsis_section(const Row& row) {
    Section section{"SYNOPSIS"};
    std::string verb = verb_form(row);
    for (std::string_view called_as : {row.contract_name, std::string_view(verb)}) {
        if (called_as.empty()) continue;
        std::string line = synopsis(row, called_as);
        section.line(bold(called_as) + with_placeholders(std::string_view(line).substr(called_as.size())));
    }
    return section;
}

Section operands_section(const Row& row) {
    Section section{"OPERANDS"};
    for (const Operand& operand : row.operands)
        section.entry(with_placeholders(placeholder(operand.name)), plain(operand_help(operand)));
    return section;
}

Section options_section(const Row& row) {
    Section section{"OPTIONS"};
    for (const Option* option : shown_options(row)) {
        std::string spelling = option_spelling(*option);
        auto value = spelling.find(" <");
        Text tag = bold(std::string_view(spelling).substr(0, value));
        if (value != std::string::npos)
            tag = std::move(tag) + with_placeholders(std::string_view(spelling).substr(value));
        section.entry(std::move(tag), plain(option_text(*option)));
    }
    return section;
}

Section output_section(const Row& row) {
    Section section{"OUTPUT"};
    if (row.output.text.empty()) return section;
    section.paragraph(plain(sentence(row.output.text)));
    if (!row.output.json_keys.empty()) {
        std::string lead = row.output.json_call.empty()
                               ? "JSON: "
                               : "With " + std::string(row.output.json_call) + ", JSON: ";
        section.paragraph(plain(lead + joined(row.output.json_keys, ", ") + "."));
    }
    if (!row.output.unheard.empty())
        section.paragraph(plain(
            "When it cannot be written, the exit status is not 0: " + std::string(row.output.unheard) + "."));
    return section;
}

Section status_section(const Row& row) {
    Section section{"EXIT STATUS"};
    for (const auto& [status, meaning] : exit_statuses(row)) section.entry(bold(status), plain(meaning));
    return section;
}

Section examples_section(const Row& row) {
    Section section{"EXAMPLES"};
    std::string called_as = row.contract_name.empty() ? verb_form(row) : std::string(row.contract_name);
    for (const Example& example : row.examples) {
        std::string words = example.words.empty() ? "" : " " + std::string(example.words);
        section.entry(bold(called_as + words), plain(sentence(example.meaning)));
    }
    return section;
}

Section see_also() {
    Section section{"SEE ALSO"};
    section.paragraph(bold(program_name) + plain("(8), ") + bold(program_name) + plain("(7)"));
    return section;
}

} // namespace

Page page_of(const Row& row) {
    Page page{man_page_name(row)};
    Section description{"DESCRIPTION"};
    description.paragraph(plain(sentence(row.summary)));
    if (!row.details.empty()) description.paragraphs(row.details);
    for (Section section :
         {name_section(row), synopsis_section(row), description, operands_section(row), options_section(row),
          output_section(row), status_section(row), examples_section(row), see_also()})
        if (!section.blocks.empty()) page.sections.push_back(std::move(section));
    return page;
}

Page program_page() {
    Section name{"NAME"}, synopsis{"SYNOPSIS"}, description{"DESCRIPTION"}, verbs{"VERBS"},
        options{"OPTIONS"}, also{"SEE ALSO"};
    name.paragraph(
        plain(std::string(program_name) + " - provisions BlockHost's virtual machines with libvirt"));
    synopsis.line(bold(program_name) + with_placeholders(" <verb> [operands] [options]"));
    description.paragraph(plain("One program, one verb a call. A verb with a command name of its own, shown "
                                "beside it, can be called by that name as well."));
    Text pages = bold(program_name) + plain("(7)");
    for (const Row* row : shown_rows()) {
        Text tag = bold(row->verb);
        if (!row->contract_name.empty())
            tag = std::move(tag) + plain(" (") + bold(row->contract_name) + plain(")");
        verbs.entry(std::move(tag), plain(sentence(row->summary)));
        pages = std::move(pages) + plain(", ") + bold(man_page_name(*row)) + plain("(8)");
    }
    options.entry(bold("-h, --help"), plain("Show the verbs, or the help of the verb."));
    options.entry(bold("--version"), plain("Show the version."));
    also.paragraph(std::move(pages));
    return {std::string(program_name), 8, {name, synopsis, description, verbs, options, also}};
}

std::string man_page_name(const Row& row) {
    if (!row.contract_name.empty()) return std::string(row.contract_name);
    return std::string(program_name) + "-" + std::string(row.verb);
}

std::string man_page(const Row* row) {
    return roff(row ? page_of(*row) : program_page());
}

} // namespace blockhost::cli
