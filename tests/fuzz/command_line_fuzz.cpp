// SPDX-License-Identifier: MIT
/// Command lines: the first character chooses a row, each further line is a word.

#include "base/text/text.hpp"
#include "cli/command.hpp"
#include "cli/describe.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <limits>

using namespace blockhost;
using namespace blockhost::cli;

namespace {

using Kind = Option::Kind;
using Count = Operand::Count;

/// Rows with every kind of option and operand.
const std::vector<Row>& table() {
    static const std::vector<Row> all{
        {.verb = "create",
         .operands = {{.name = "NAME"}},
         .options = {{.name = "owner-wallet", .kind = Kind::text, .presence = Option::Presence::required},
                     {.name = "memory", .kind = Kind::integer, .min = 64, .max = 1048576, .letter = 'm'},
                     {.name = "memory-overcommit", .kind = Kind::integer, .min = -5, .max = 5},
                     {.name = "token", .kind = Kind::integer},
                     {.name = "ssh-key", .kind = Kind::file},
                     {.name = "apply", .letter = 'a'},
                     {.name = "no-mint", .standing = Option::Standing::ignored},
                     {.name = "signature", .kind = Kind::integer, .standing = Option::Standing::ignored}}},
        {.verb = "list",
         .options = {{.name = "format", .kind = Kind::choice, .choices = {"table", "json"}, .letter = 'f'},
                     {.name = "limit",
                      .kind = Kind::integer,
                      .min = 1,
                      .max = std::numeric_limits<std::int64_t>::max(),
                      .letter = 'n'},
                     {.name = "verbose", .letter = 'v'}}},
        {.verb = "guest-exec",
         .operands = {{.name = "NAME"}, {.name = "COMMAND", .count = Count::rest}},
         .options = {{.name = "timeout", .kind = Kind::integer, .min = 1, .max = 120}}},
        {.verb = "completion", .operands = {{.name = "SHELL", .choices = {"bash", "zsh", "fish"}}}},
        {.verb = "help", .operands = {{.name = "VERB", .count = Count::optional}}},
    };
    return all;
}

void check_option(const Option& option, const std::string& value, const Arguments& arguments) {
    if (option.standing == Option::Standing::ignored) return;
    switch (option.kind) {
    case Kind::flag:
        return fuzz::check(value.empty(), "a flag has no value");
    case Kind::integer: {
        const auto number = arguments.integer(option.name);
        fuzz::check(number.has_value(), "an integer is one");
        const bool bounded = option.min != 0 || option.max != 0;
        fuzz::check(!bounded || (*number >= option.min && *number <= option.max),
                    "an integer is within its bounds");
        return;
    }
    case Kind::choice:
        return fuzz::check(std::ranges::find(option.choices, value) != option.choices.end(),
                           "a choice is one");
    case Kind::file:
        return fuzz::check(std::filesystem::exists(value), "a file is there");
    case Kind::text:
        return;
    }
}

/// The same command line with every value spelled out.
std::vector<std::string> spelled_out(const Row& row, const Arguments& arguments) {
    std::vector<std::string> words;
    for (const Option* option : accepted_options(row)) {
        const auto value = arguments.text(option->name);
        if (!value) continue;
        words.push_back("--" + std::string(option->name) + (option->kind == Kind::flag ? "" : "=" + *value));
    }
    words.push_back("--");
    words.insert(words.end(), arguments.operands().begin(), arguments.operands().end());
    return words;
}

void check_arguments(const Row& row, const Arguments& arguments) {
    if (arguments.has("help")) return;
    const std::size_t given = arguments.operands().size();
    const bool open = !row.operands.empty() && row.operands.back().count == Count::rest;
    fuzz::check(open || given <= row.operands.size(), "there are not too many operands");
    for (std::size_t i = 0; i < row.operands.size(); ++i)
        fuzz::check(i < given || row.operands[i].count == Count::optional, "no operand is missing");
    for (const Option* option : accepted_options(row)) {
        if (const auto value = arguments.text(option->name))
            check_option(*option, *value, arguments);
        else
            fuzz::check(option->presence == Option::Presence::optional, "no required option is missing");
    }
    const Arguments again = parse(row, spelled_out(row, arguments));
    fuzz::check(again.operands() == arguments.operands(), "operands are the same, spelled out");
    for (const Option* option : accepted_options(row))
        fuzz::check(again.text(option->name) == arguments.text(option->name),
                    "options are the same, spelled out");
}

void command_line(std::string_view input) {
    const auto chosen = static_cast<std::size_t>(fuzz::take_selector(input)) % table().size();
    std::vector<std::string> words;
    if (!input.empty())
        for (std::string& word : text::split(input, '\n'))
            words.push_back(word.substr(0, word.find('\0'))); // as argv has them
    try {
        const Row& row = table()[chosen];
        const Arguments arguments = parse(row, words);
        check_arguments(row, arguments);
    } catch (const Error& error) {
        const bool about_words = error.code() == Code::usage || error.code() == Code::invalid;
        fuzz::check(about_words && !error.message().empty() && error.message().size() < 1000,
                    "a command line that is refused gets a short reason");
    }
}

} // namespace

std::span<const Row> blockhost::cli::rows() {
    return table();
}

FUZZ_TARGET(command_line)
