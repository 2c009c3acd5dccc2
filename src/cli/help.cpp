// SPDX-License-Identifier: MIT
// Help texts, laid out for 80 columns.
#include "cli/help.hpp"

#include "cli/describe.hpp"
#include "cli/layout.hpp"

#include <algorithm>
#include <array>

namespace blockhost::cli {

namespace {

/// A list's right column starts behind its longest entry, but no farther than here.
constexpr std::size_t farthest_column = 28;

using Entries = std::vector<std::pair<std::string, std::string>>;

std::string list(const Entries& entries) {
    std::size_t column = 0;
    for (const auto& [left, right] : entries) column = std::max(column, columns(left) + 4);
    column = std::min(column, farthest_column);
    std::string text;
    for (const auto& [left, right] : entries) text += list_entry(left, right, column);
    return text;
}

std::string section(std::string_view title, const Entries& entries) {
    return entries.empty() ? std::string() : "\n" + std::string(title) + ":\n" + list(entries);
}

struct Group {
    std::string_view title;
    bool (*contains)(const Row& row);
};

/// Every row is in exactly one group.
constexpr std::array groups{
    Group{"Look", [](const Row& row) { return row.needs != Needs::nothing && row.effect == Effect::reads; }},
    Group{"Change", [](const Row& row) { return row.effect == Effect::changes; }},
    Group{"Destroy", [](const Row& row) { return row.effect == Effect::destroys; }},
    Group{"About this program and host",
          [](const Row& row) { return row.needs == Needs::nothing && row.effect == Effect::reads; }},
};

} // namespace

std::string usage_line(const Row& row, std::string_view called_as) {
    return "Usage: " + synopsis(row, called_as);
}

std::string verb_help(const Row& row, std::string_view called_as) {
    std::string text;
    std::string indent = "\n" + std::string(7, ' ');
    for (const std::string& line : wrap(synopsis(row, called_as), page_width - 7))
        text += (text.empty() ? "Usage: " : indent) + line;
    text += "\n\n" + wrap_paragraphs(sentence(row.summary));

    Entries operands, options;
    for (const Operand& operand : row.operands)
        operands.emplace_back(operand_text(operand), operand_help(operand));
    for (const Option* option : shown_options(row))
        options.emplace_back(option_spelling(*option), option_text(*option));
    text += section("Operands", operands) + section("Options", options);

    if (!row.details.empty()) text += "\n" + wrap_paragraphs(row.details);
    text += section("Exit status", exit_statuses(row));

    std::string verb = std::string(program_name) + " " + std::string(row.verb);
    std::string_view other = called_as == row.contract_name ? std::string_view(verb) : row.contract_name;
    if (!other.empty()) text += "\nThe same command: " + std::string(other) + "\n";
    return text;
}

std::string overview() {
    std::string program(program_name);
    std::string text = "Usage: " + program + " <verb> [operands] [options]\n\n" +
                       wrap_paragraphs("Provisions BlockHost's virtual machines with libvirt.");
    for (const Group& group : groups) {
        Entries entries;
        for (const Row* row : shown_rows())
            if (group.contains(*row)) entries.emplace_back(std::string(row->verb), std::string(row->summary));
        text += section(group.title, entries);
    }
    text += section("Options",
                    {{"-h, --help", "show this help and exit"}, {"--version", "show the version and exit"}});
    text +=
        "\n" + wrap_paragraphs(
                   "'" + program + " <verb> --help' shows a verb's operands, options and exit statuses, '" +
                   program + " help <verb>' its manual page. How it all hangs together: " + program + "(7).");
    return text;
}

} // namespace blockhost::cli
