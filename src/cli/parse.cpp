// SPDX-License-Identifier: MIT
// The option parser, Boost.Program_options fed with the rows, and finding a row.
#include "cli/command.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "cli/describe.hpp"

#include <algorithm>
#include <array>
#include <boost/make_shared.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sys/stat.h>

namespace po = boost::program_options;

namespace blockhost::cli {

const Row* row_of_verb(std::string_view verb) {
    for (const Row& row : rows())
        if (row.verb == verb) return &row;
    return nullptr;
}

const Row* row_of_contract_name(std::string_view name) {
    for (const Row& row : rows())
        if (!name.empty() && (row.contract_name == name || row.foreign_name == name)) return &row;
    return nullptr;
}

std::span<const Option> common_options() {
    static const std::array options{
        Option{.name = "help", .help = "show this help and exit", .letter = 'h'},
        Option{.name = "mock", .help = "act on a simulated world in ./mock-world and ./mock-db.json"},
    };
    return options;
}

std::optional<std::string> Arguments::text(std::string_view option) const {
    auto found = values_.find(std::string(option));
    if (found == values_.end()) return std::nullopt;
    return found->second.back();
}

std::vector<std::string> Arguments::texts(std::string_view option) const {
    auto found = values_.find(std::string(option));
    return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::int64_t> Arguments::integer(std::string_view option) const {
    auto value = text(option);
    return value ? text::parse_int(*value) : std::nullopt;
}

namespace {

std::string dashed(const Option& option) {
    return "--" + std::string(option.name);
}

/// "memory" of "--memory=5".
std::string_view long_name(std::string_view word) {
    return word.substr(2, word.find('=') - 2);
}

/// "-1", "-0.5"; "-v" and "-" are not.
bool is_negative_number(std::string_view word) {
    if (word.size() < 2 || word[0] != '-') return false;
    bool digit = false, point = false;
    for (char c : word.substr(1)) {
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digit = true;
        } else {
            return false;
        }
    }
    return digit;
}

bool looks_like_option(std::string_view word) {
    return word.size() > 1 && word[0] == '-';
}

bool is_whole_number(std::string_view value) {
    if (value.starts_with('-')) value.remove_prefix(1);
    return !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
}

Error refused(const Option& option, std::string_view value, const std::string& why) {
    return Error(Code::invalid, dashed(option) + ": '" + text::printable(value) + "' " + why);
}

void check_integer(const Option& option, std::string_view value) {
    if (!is_whole_number(value)) throw refused(option, value, "is not a whole number");
    auto number = text::parse_int(value);
    std::string bounds = bounds_text(option);
    if (bounds.empty()) {
        if (!number) throw refused(option, value, "is too large a number");
        return;
    }
    if (!number || *number < option.min || *number > option.max)
        throw refused(option, value, "is out of bounds (" + bounds + ")");
}

void check_file(const Option& option, const std::string& value) {
    struct stat about {};
    if (::stat(value.c_str(), &about) != 0)
        throw refused(option, value, std::string("cannot be used: ") + std::strerror(errno));
    if (S_ISDIR(about.st_mode)) throw refused(option, value, "is a folder, not a file");
}

void check_value(const Option& option, const std::string& value) {
    switch (option.kind) {
    case Option::Kind::flag:
    case Option::Kind::text:
        return;
    case Option::Kind::integer:
        return check_integer(option, value);
    case Option::Kind::file:
        return check_file(option, value);
    case Option::Kind::choice:
        if (std::ranges::find(option.choices, value) == option.choices.end())
            throw refused(option, value, "is not one of " + joined(option.choices, ", "));
    }
}

/// The position of an operand that Boost gives to no option before it (its own mark for those behind "--").
constexpr int never_a_value = std::numeric_limits<int>::max();

/// A value that may be left out; only one behind '=' is taken for it.
class OptionalValue : public po::untyped_value {
  public:
    unsigned min_tokens() const override { return 0; }
};

/// The row's options as Boost knows them.
po::options_description described(const Row& row) {
    po::options_description all;
    for (const Option* option : accepted_options(row)) {
        std::string names(option->name);
        if (option->letter) names += std::string(",") + option->letter;
        const bool flag = option->kind == Option::Kind::flag;
        all.add(boost::make_shared<po::option_description>(
            names.c_str(), option->implicit.empty() ? new po::untyped_value(flag) : new OptionalValue));
    }
    return all;
}

} // namespace

/// One parsing of one command line. Boost.Program_options takes the words, looks names up and finds values;
/// what it takes otherwise than we promise is taken by take_ours, which it asks first.
class Parser {
  public:
    Parser(const Row& row, std::span<const std::string> words)
        : row_(row), words_(words), description_(described(row)) {}

    Arguments parse();
    /// Whether the words ask for that option, whatever else is wrong with them.
    bool asks_for(std::string_view option);

  private:
    using Words = std::vector<std::string>;
    using Taken = std::vector<po::option>;

    std::optional<Error> take_until_refused();
    void take(std::span<const std::string> words);
    std::string implicit_value(const std::string& name) const;
    bool hand_on(Words& to);
    Taken take_ours(Words& words);
    Taken take_operands(Words& words);
    Error unknown() const;
    Error ambiguous(const std::vector<std::string>& candidates) const;
    Error refused_value(const po::invalid_command_line_syntax& why) const;
    void check_operands() const;
    void check_options() const;

    const Row& row_;
    std::span<const std::string> words_; ///< those not yet taken
    po::options_description description_;
    std::span<const std::string> line_;  ///< the word at hand and those behind it
    std::span<const std::string> ahead_; ///< those at the end that Boost does not have yet
    std::size_t operands_ = 0;           ///< so many were taken
    Arguments arguments_;
};

Arguments Parser::parse() {
    const auto fault = take_until_refused();
    if (arguments_.has("help")) return std::move(arguments_);
    if (fault) throw *fault;
    check_operands();
    check_options();
    return std::move(arguments_);
}

bool Parser::asks_for(std::string_view option) {
    while (!arguments_.has(option) && take_until_refused()) {
        // told by parse
    }
    return arguments_.has(option);
}

/// Takes the words before the first that is refused, drops that one, and returns why.
std::optional<Error> Parser::take_until_refused() {
    std::optional<Error> fault;
    try {
        take(words_);
        return fault;
    } catch (const Error& ours) {
        fault = ours;
    } catch (const po::unknown_option&) {
        fault = unknown();
    } catch (const po::ambiguous_option& several) {
        fault = ambiguous(several.alternatives());
    } catch (const po::invalid_command_line_syntax& why) {
        fault = refused_value(why);
    }
    const std::size_t before = words_.size() - line_.size();
    take(words_.first(before)); // what Boost had found in them went with its exception
    words_ = words_.subspan(words_[before] == "--" ? words_.size() : before + 1);
    return fault;
}

void Parser::take(std::span<const std::string> words) {
    operands_ = arguments_.operands_.size();
    line_ = ahead_ = words;
    const Words* line = nullptr;
    const auto asked_first = [&](Words& rest) {
        if (!line) line = &rest;
        if (&rest == line) return take_ours(rest);
        // Boost looks ahead with a copy of what would be a value, and would take an option for one.
        if (!looks_like_option(rest[0]) || is_negative_number(rest[0])) return Taken();
        throw po::invalid_command_line_syntax(po::invalid_syntax::missing_parameter);
    };
    Words first;
    hand_on(first);
    po::command_line_parser parser(first);
    po::parsed_options taken = parser.options(description_).extra_style_parser(asked_first).run();
    for (po::option& found : taken.options) {
        if (found.string_key.empty()) {
            arguments_.operands_.push_back(std::move(found.value[0]));
        } else {
            arguments_.values_[found.string_key].push_back(
                found.value.empty() ? implicit_value(found.string_key) : std::move(found.value[0]));
        }
    }
}

/// That of a flag is empty.
std::string Parser::implicit_value(const std::string& name) const {
    const auto options = accepted_options(row_);
    return std::string((*std::ranges::find(options, name, &Option::name))->implicit);
}

/// Boost moves all the words that it has whenever it takes one, so it gets a long line by and by: more when
/// it may have no more than an option and its value. Returns whether it got any.
bool Parser::hand_on(Words& to) {
    constexpr std::size_t most = 64;
    if (to.size() > 2 || ahead_.empty()) return false;
    const auto more = ahead_.first(std::min(ahead_.size(), most));
    to.insert(to.end(), more.begin(), more.end());
    ahead_ = ahead_.subspan(more.size());
    return true;
}

/// Takes and counts operands, and empty values, which Boost would not take as we promise. Refuses names that
/// it would look up among the letters, or not at all.
Parser::Taken Parser::take_ours(Words& words) {
    if (hand_on(words)) return {}; // Boost sees that the words changed, and asks again
    line_ = line_.last(words.size() + ahead_.size());
    const std::string& word = words[0];
    if (!looks_like_option(word) || word == "--") return take_operands(words);
    if (word.starts_with("---") || word.starts_with("--=")) throw po::unknown_option();
    if (!word.starts_with("--") || word.find('=') != word.size() - 1) return {};
    po::option empty(std::string(long_name(word)), {std::string()});
    words.erase(words.begin());
    return {empty};
}

Parser::Taken Parser::take_operands(Words& words) {
    const bool behind_dashes = line_[0] == "--";
    const auto operands = line_.subspan(behind_dashes ? 1 : 0);
    const std::size_t most = row_.operands.size();
    const bool open = most != 0 && row_.operands.back().count == Operand::Count::rest;
    const bool all = behind_dashes || (open && operands_ + 2 >= most);
    const std::size_t count = all ? operands.size() : 1;
    const bool several = most != 0 && row_.operands.back().count == Operand::Count::several;
    if (!open && !several && operands_ + count > most)
        throw Error(Code::usage, "surplus operand '" + text::printable(operands[most - operands_]) + "'");
    operands_ += count;
    Taken taken;
    for (const std::string& operand : operands.first(count)) {
        taken.emplace_back(std::string(), Words{operand});
        taken.back().position_key = never_a_value;
    }
    if (all)
        words.clear(); // that ends the line for Boost
    else
        words.erase(words.begin());
    return taken;
}

Error Parser::unknown() const {
    const std::string& word = line_[0];
    if (!word.starts_with("--")) {
        const auto known = [&](char letter) { return description_.find_nothrow({'-', letter}, false); };
        const auto letter = std::find_if_not(word.begin() + 1, word.end(), known);
        return {Code::usage, "unknown option -" + text::printable({&*letter, 1}),
                "an operand that starts with '-' goes behind --"};
    }
    std::vector<std::string_view> names;
    for (const Option* option : shown_options(row_)) names.push_back(option->name);
    auto near = text::nearest(long_name(word), names);
    return {Code::usage, "unknown option --" + text::printable(long_name(word)),
            near ? "did you mean --" + std::string(*near) + "?" : std::string()};
}

Error Parser::ambiguous(const std::vector<std::string>& candidates) const {
    return {Code::usage, "option --" + text::printable(long_name(line_[0])) + " is ambiguous",
            "it could be --" + joined({candidates.begin(), candidates.end()}, ", --")};
}

/// One that is missing, or one that a flag was given.
Error Parser::refused_value(const po::invalid_command_line_syntax& why) const {
    const std::vector<const Option*> options = accepted_options(row_);
    const Option& option =
        **std::ranges::find(options, why.get_option_name(), [](auto* o) { return dashed(*o); });
    if (option.kind == Option::Kind::flag)
        return {Code::usage, "option " + dashed(option) + " takes no value"};
    return {Code::usage, "option " + dashed(option) + " needs a value",
            "write " + dashed(option) + "=" + placeholder(option.value)};
}

void Parser::check_operands() const {
    const auto& taken = arguments_.operands_;
    if (taken.size() < row_.operands.size()) {
        const Operand& missing = row_.operands[taken.size()];
        if (missing.count != Operand::Count::optional && missing.count != Operand::Count::several)
            throw Error(Code::usage, "operand " + operand_text(missing) + " is missing");
    }
    for (std::size_t i = 0; i < std::min(taken.size(), row_.operands.size()); ++i) {
        const Operand& operand = row_.operands[i];
        if (operand.choices.empty() || std::ranges::find(operand.choices, taken[i]) != operand.choices.end())
            continue;
        throw Error(Code::invalid, placeholder(operand.name) + ": '" + text::printable(taken[i]) +
                                       "' is not one of " + joined(operand.choices, ", "));
    }
}

void Parser::check_options() const {
    const std::vector<const Option*> options = accepted_options(row_);
    for (const Option* option : options) {
        if (option->presence == Option::Presence::required && !arguments_.has(option->name))
            throw Error(Code::usage, "option " + dashed(*option) + " is missing");
    }
    for (const Option* option : options) {
        auto value = arguments_.text(option->name);
        if (value && option->standing == Option::Standing::offered) check_value(*option, *value);
    }
}

Arguments parse(const Row& row, std::span<const std::string> words) {
    return Parser(row, words).parse();
}

bool asks_for(const Row& row, std::span<const std::string> words, std::string_view option) {
    return Parser(row, words).asks_for(option);
}

} // namespace blockhost::cli
