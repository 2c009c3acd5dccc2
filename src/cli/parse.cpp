// The option parser, derived from the rows, and finding a row.
#include "cli/command.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/describe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>

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
    return found->second;
}

std::optional<std::int64_t> Arguments::integer(std::string_view option) const {
    auto value = text(option);
    return value ? text::parse_int(*value) : std::nullopt;
}

namespace {

std::string dashed(const Option& option) {
    return "--" + std::string(option.name);
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

} // namespace

/// One parsing of one command line.
class Parser {
  public:
    Parser(const Row& row, std::span<const std::string> words)
        : row_(row), words_(words), options_(accepted_options(row)) {}

    Arguments parse();

  private:
    void take_word(const std::string& word);
    void take_operand(const std::string& word);
    void take_long(std::string_view spelled);
    void take_letters(std::string_view letters);
    std::string next_value(const Option& option);
    const Option& long_option(std::string_view name) const;
    const Option& letter_option(char letter) const;
    Error unknown_option(std::string_view name) const;
    void set(const Option& option, std::string value) {
        arguments_.values_[std::string(option.name)] = std::move(value);
    }
    void check_operands() const;
    void check_options() const;

    const Row& row_;
    std::span<const std::string> words_; ///< those not yet taken
    std::vector<const Option*> options_;
    bool only_operands_ = false;
    Arguments arguments_;
};

Arguments Parser::parse() {
    while (!words_.empty() && !arguments_.has("help")) {
        const std::string& word = words_.front();
        words_ = words_.subspan(1);
        take_word(word);
    }
    if (arguments_.has("help")) return std::move(arguments_);
    check_operands();
    check_options();
    return std::move(arguments_);
}

void Parser::take_word(const std::string& word) {
    if (only_operands_ || !looks_like_option(word)) return take_operand(word);
    if (word == "--") {
        only_operands_ = true;
    } else if (word.starts_with("--")) {
        take_long(std::string_view(word).substr(2));
    } else {
        take_letters(std::string_view(word).substr(1));
    }
}

void Parser::take_operand(const std::string& word) {
    auto& taken = arguments_.operands_;
    if (taken.size() == row_.operands.size())
        throw Error(Code::usage, "surplus operand '" + text::printable(word) + "'");
    taken.push_back(word);
    bool ends_in_rest = row_.operands.back().count == Operand::Count::rest;
    if (!ends_in_rest || taken.size() + 1 < row_.operands.size()) return;
    taken.insert(taken.end(), words_.begin(), words_.end());
    words_ = {};
}

void Parser::take_long(std::string_view spelled) {
    auto equals = spelled.find('=');
    const Option& option = long_option(spelled.substr(0, equals));
    bool flag = option.kind == Option::Kind::flag;
    if (equals == std::string_view::npos) return set(option, flag ? std::string() : next_value(option));
    if (flag) throw Error(Code::usage, "option " + dashed(option) + " takes no value");
    set(option, std::string(spelled.substr(equals + 1)));
}

void Parser::take_letters(std::string_view letters) {
    while (!letters.empty()) {
        const Option& option = letter_option(letters[0]);
        letters.remove_prefix(1);
        if (option.kind == Option::Kind::flag) {
            set(option, {});
            continue;
        }
        return set(option, letters.empty() ? next_value(option) : std::string(letters));
    }
}

std::string Parser::next_value(const Option& option) {
    if (words_.empty() || (looks_like_option(words_.front()) && !is_negative_number(words_.front()))) {
        throw Error(Code::usage, "option " + dashed(option) + " needs a value",
                    "write " + dashed(option) + "=" + placeholder(option.value));
    }
    std::string value = words_.front();
    words_ = words_.subspan(1);
    return value;
}

const Option& Parser::long_option(std::string_view name) const {
    std::vector<const Option*> matches;
    for (const Option* option : options_) {
        if (option->name == name) return *option;
        if (!name.empty() && option->name.starts_with(name)) matches.push_back(option);
    }
    if (matches.empty()) throw unknown_option(name);
    if (matches.size() == 1) return *matches.front();
    std::string candidates;
    for (const Option* match : matches) candidates += (candidates.empty() ? "" : ", ") + dashed(*match);
    throw Error(Code::usage, "option --" + text::printable(name) + " is ambiguous",
                "it could be " + candidates);
}

const Option& Parser::letter_option(char letter) const {
    for (const Option* option : options_)
        if (option->letter == letter) return *option;
    throw Error(Code::usage, "unknown option -" + text::printable(std::string_view(&letter, 1)),
                "an operand that starts with '-' goes behind --");
}

Error Parser::unknown_option(std::string_view name) const {
    std::vector<std::string_view> names;
    for (const Option* option : shown_options(row_)) names.push_back(option->name);
    auto near = text::nearest(name, names);
    return Error(Code::usage, "unknown option --" + text::printable(name),
                 near ? "did you mean --" + std::string(*near) + "?" : std::string());
}

void Parser::check_operands() const {
    const auto& taken = arguments_.operands_;
    if (taken.size() < row_.operands.size()) {
        const Operand& missing = row_.operands[taken.size()];
        if (missing.count != Operand::Count::optional)
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
    for (const Option* option : options_) {
        if (option->presence == Option::Presence::required && !arguments_.has(option->name))
            throw Error(Code::usage, "option " + dashed(*option) + " is missing");
    }
    for (const Option* option : options_) {
        auto value = arguments_.text(option->name);
        if (value && option->standing == Option::Standing::offered) check_value(*option, *value);
    }
}

Arguments parse(const Row& row, std::span<const std::string> words) {
    return Parser(row, words).parse();
}

} // namespace blockhost::cli
