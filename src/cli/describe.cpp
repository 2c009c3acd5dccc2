// SPDX-License-Identifier: MIT
// Puts the parts of a row into words.
#include "cli/describe.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <limits>

namespace blockhost::cli {

std::vector<const Option*> accepted_options(const Row& row) {
    std::vector<const Option*> options;
    for (const Option& option : row.options) options.push_back(&option);
    for (const Option& common : common_options()) {
        if (std::ranges::none_of(row.options, [&](const Option& own) { return own.name == common.name; }))
            options.push_back(&common);
    }
    return options;
}

std::vector<const Option*> shown_options(const Row& row) {
    std::vector<const Option*> options = accepted_options(row);
    std::erase_if(options,
                  [](const Option* option) { return option->standing == Option::Standing::ignored; });
    return options;
}

std::vector<const Row*> shown_rows() {
    std::vector<const Row*> shown;
    for (const Row& row : rows())
        if (row.visibility == Row::Visibility::shown) shown.push_back(&row);
    return shown;
}

std::string sentence(std::string_view summary) {
    std::string text = std::string(summary) + ".";
    if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

std::string placeholder(std::string_view name) {
    return "<" + text::lower(name) + ">";
}

std::string operand_text(const Operand& operand) {
    switch (operand.count) {
    case Operand::Count::one:
        return placeholder(operand.name);
    case Operand::Count::optional:
        return "[" + placeholder(operand.name) + "]";
    case Operand::Count::several:
        return "[" + placeholder(std::string(operand.name) + "...") + "]";
    case Operand::Count::rest:
        return placeholder(std::string(operand.name) + "...");
    }
    return {};
}

std::string_view name_of(Operand::Fits fits) {
    switch (fits) {
    case Operand::Fits::live:
        return "live";
    case Operand::Fits::active:
        return "active";
    case Operand::Fits::suspended:
        return "suspended";
    }
    return {};
}

std::string operand_help(const Operand& operand) {
    std::string choices = operand.choices.empty() ? "" : " (one of " + joined(operand.choices, ", ") + ")";
    return std::string(operand.help) + choices;
}

namespace {

std::string with_value(const Option& option) {
    std::string name = "--" + std::string(option.name);
    if (option.kind == Option::Kind::flag) return name;
    const std::string value = placeholder(option.value);
    return option.implicit.empty() ? name + " " + value : name + "[=" + value + "]";
}

} // namespace

std::string option_spelling(const Option& option) {
    return (option.letter ? std::string("-") + option.letter + ", " : std::string()) + with_value(option);
}

std::string bounds_text(const Option& option) {
    if (option.kind != Option::Kind::integer || (option.min == 0 && option.max == 0)) return {};
    if (option.max == std::numeric_limits<std::int64_t>::max())
        return "at least " + std::to_string(option.min);
    return std::to_string(option.min) + " to " + std::to_string(option.max);
}

std::string joined(const std::vector<std::string_view>& words, std::string_view separator) {
    std::string text;
    for (std::string_view word : words) {
        if (!text.empty()) text += separator;
        text += word;
    }
    return text;
}

std::string option_text(const Option& option) {
    std::string facts = bounds_text(option);
    auto add = [&](const std::string& fact) { facts += (facts.empty() ? "" : "; ") + fact; };
    if (!option.choices.empty()) add("one of " + joined(option.choices, ", "));
    if (!option.default_text.empty()) add("default " + std::string(option.default_text));
    if (option.presence == Option::Presence::required) add("required");
    return std::string(option.help) + (facts.empty() ? "" : " (" + facts + ")");
}

std::string synopsis(const Row& row, std::string_view called_as) {
    std::string line(called_as), required;
    bool optional = false, takes_rest = false;
    for (const Option& option : row.options) {
        if (option.standing == Option::Standing::ignored) continue;
        if (option.presence == Option::Presence::required) {
            required += " " + with_value(option);
        } else {
            optional = true;
        }
    }
    if (optional) required += " [options]";
    for (const Operand& operand : row.operands) takes_rest |= operand.count == Operand::Count::rest;
    if (takes_rest) line += required;
    for (const Operand& operand : row.operands) line += " " + operand_text(operand);
    return takes_rest ? line : line + required;
}

namespace {

void add_table_statuses(const Row& row, std::vector<std::pair<int, std::string>>& statuses) {
    for (const CodeRow& code : error_table()) {
        if (code.code == Code::usage) continue;
        auto same = std::ranges::find(statuses, code.exit_status, &std::pair<int, std::string>::first);
        if (same == statuses.end()) {
            statuses.emplace_back(code.exit_status, code.help);
        } else {
            same->second += "; " + std::string(code.help);
        }
    }
    if (row.usage_status != 0) statuses.emplace_back(row.usage_status, row_of(Code::usage).help);
    std::ranges::stable_sort(statuses, {}, &std::pair<int, std::string>::first);
}

} // namespace

std::vector<std::pair<std::string, std::string>> exit_statuses(const Row& row) {
    std::vector<std::pair<int, std::string>> statuses;
    bool forgiving = row.usage_status == 0;
    statuses.emplace_back(0, row.on_usage_error ? "always, with an answer"
                             : forgiving        ? "success, and a malformed command line too"
                                                : "success");
    if (row.exit == Row::Exit::table) {
        if (!row.exit_1.empty()) statuses.emplace_back(1, row.exit_1);
        add_table_statuses(row, statuses);
    } else {
        statuses.emplace_back(1, row.on_usage_error ? "standard output could not be written"
                                                    : "failure; the last line on standard error says why");
        if (!forgiving && row.usage_status != 1)
            statuses.emplace_back(row.usage_status, "the command line is malformed");
        if (!row.exit_2.empty()) statuses.emplace_back(2, row.exit_2);
    }
    std::vector<std::pair<std::string, std::string>> texts;
    texts.reserve(statuses.size() + 1);
    for (auto& [status, text] : statuses) texts.emplace_back(std::to_string(status), std::move(text));
    if (row.effect != Effect::reads) texts.emplace_back("130, 143", "stopped by SIGINT, by SIGTERM");
    return texts;
}

} // namespace blockhost::cli
