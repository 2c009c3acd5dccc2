// SPDX-License-Identifier: MIT
#pragma once
/// What a verb is: one row. The parser, help, manual pages, completion, PROJECT.yaml's list, the links and
/// the manifest's checks are derived from the rows.

#include "base/error.hpp"
#include "base/progress.hpp"
#include "config/paths.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::cli {

struct Operand {
    std::string_view name = {}; ///< "NAME"; shown as <name>
    std::string_view help = {};
    /// `several`: no word or more, with options among them; `rest`: one word or more, as they are. Only the
    /// last operands may be optional, only the last one several or rest.
    enum class Count { one, optional, several, rest } count = Count::one;
    /// What completion offers for the operand.
    enum class Meaning { text, existing_vm, verb } meaning = Meaning::text;
    std::vector<std::string_view> choices = {}; ///< when not empty, no other word is allowed
    /// Which existing VMs completion offers, by what the VM database says of them.
    enum class Fits { live, active, suspended } fits = Fits::live;
};

struct Option {
    enum class Kind {
        flag,    ///< no value
        integer, ///< whole base-10 text between min and max (both 0: no bounds)
        text,
        file,   ///< a path to an existing file
        choice, ///< one of `choices`
    };
    std::string_view name = {}; ///< without the dashes
    Kind kind = Kind::flag;
    std::string_view value = {};        ///< what help calls the value: "MB", shown as <mb>; empty for flags
    std::string_view default_text = {}; ///< what help shows as default; empty: none
    std::int64_t min = 0, max = 0;      ///< for integers, inclusive
    std::string_view help = {};
    std::vector<std::string_view> choices = {};
    /// ignored: accepted, does nothing, shown nowhere.
    enum class Standing { offered, ignored } standing = Standing::offered;
    char letter = 0; ///< one-letter spelling, or 0
    /// required: its absence is Error{usage}.
    enum class Presence { optional, required } presence = Presence::optional;
    std::vector<std::string_view> offers = {}; ///< for text: what completion offers besides any other value
    /// The value of the option alone. When not empty, only "--opt=v" gives it another one.
    std::string_view implicit = {};
};

/// A command line of a verb, without the names of program and verb, and what it does.
struct Example {
    std::string_view words = {}; ///< as for a shell, separated by single blanks, nothing quoted
    std::string_view meaning = {};
};

/// What stdout carries.
struct Output {
    std::string_view text = {}; ///< a sentence
    /// The keys of the JSON document that `json_call` prints, or of each element where that is a list.
    std::vector<std::string_view> json_keys = {};
    std::string_view json_call = {}; ///< the option for it; empty: the document comes without one
    /// For a verb that changes something: what holds when stdout could not take the answer, and what a repeat
    /// of the call does. A part of a sentence; it is the failure's hint.
    std::string_view unheard = {};
};

/// What a verb must be able to reach before it can work.
enum class Needs { nothing, config, registry, observer, hypervisor };
/// What a verb does to the world.
enum class Effect { reads, changes, destroys };

/// A parsed command line: every value has the form that its option demands.
class Arguments {
  public:
    bool has(std::string_view option) const { return values_.contains(std::string(option)); }
    /// Of an option that is given several times, the last value.
    std::optional<std::string> text(std::string_view option) const;
    /// All values of an option, in their order.
    std::vector<std::string> texts(std::string_view option) const;
    std::optional<std::int64_t> integer(std::string_view option) const;
    const std::vector<std::string>& operands() const { return operands_; }

  private:
    friend class Parser;
    std::map<std::string, std::vector<std::string>> values_; ///< one value or more
    std::vector<std::string> operands_;
};

class Printer;

/// What a verb's function is given.
struct Call {
    const Arguments& arguments;
    Paths paths; ///< with --mock, the mock ones already
    bool mock = false;
    Printer& printer;
};

struct Row {
    std::string_view verb = {};
    std::string_view contract_name = {}; ///< the installed link; empty: none
    /// Another package's name for the verb: it works where somebody links it, and is never installed.
    std::string_view foreign_name = {};
    std::string_view summary = {}; ///< one line, no full stop
    std::string_view details = {}; ///< paragraphs for help and man
    std::vector<Operand> operands = {};
    std::vector<Option> options = {};
    Output output = {};
    std::vector<Example> examples = {}; ///< at least one for each verb that is shown
    Needs needs = Needs::nothing;
    Effect effect = Effect::reads;
    int usage_status = 2; ///< exit status of a malformed command line
    /// Exit status of an Error: contract verbs exit with 1 for all, admin verbs by the error table.
    enum class Exit { contract, table } exit = Exit::table;
    /// When a verb that exits by the table exits with 1, which no error of the table has; empty: never.
    std::string_view exit_1 = {};
    /// When a verb that exits with 1 for every error, a malformed command line included, exits with 2; empty:
    /// never. Its answer then is one, and no error.
    std::string_view exit_2 = {};
    std::string_view talk_prefix = {}; ///< "[vm-create] ", before each line on stderr; may be empty
    int (*run)(Call&) = nullptr;
    enum class Visibility { shown, hidden } visibility = Visibility::shown;
    /// For verbs that must answer whatever they are called with: prints the answer for a call that was
    /// refused before `run` (malformed command line, refused value, unusable environment), and returns the
    /// exit status. `words` are without the names of program and verb.
    int (*on_usage_error)(Printer& printer, std::span<const std::string> words) = nullptr;
    /// For verbs that also answer a failure on stdout in a form of their own: prints that answer. Not called
    /// for a malformed command line.
    void (*answer_failure)(Printer& printer, const Error& error) = nullptr;
};

/// The rows, in the order in which help shows them. The table in subcommands/ defines them.
std::span<const Row> rows();

const Row* row_of_verb(std::string_view verb);
/// Finds a row by its installed link's name, or by its foreign name.
const Row* row_of_contract_name(std::string_view name);

/// --help and --mock, which every verb has. All other options (--json too) are in the rows. A row's own
/// option of such a name wins.
std::span<const Option> common_options();

/// Parses `words` (without the names of program and verb) by the row (docs/contract.md, "Rules common to all
/// commands"). It takes "--opt v", "--opt=v" (an empty value when nothing follows '='), options and operands
/// in any order, unique prefixes, one-letter spellings ("-v", "-n5", "-n 5"), and "--" as the end of the
/// options. Of a repeated option the last counts. A word that starts with '-' is a value only when it looks
/// like a number, and an operand only behind "--". For a row whose last operand is Count::rest, everything
/// behind the operand before it is taken as it is. --help ends parsing: nothing else is checked. Throws
/// Error{usage} for an unknown option (with the nearest as hint) or an ambiguous one, a missing value, a
/// missing or surplus operand, a missing required option; Error{invalid} for a value that its option refuses.
Arguments parse(const Row& row, std::span<const std::string> words);
/// Whether the words ask for `option`, in any spelling that parse takes, even where parse refuses other
/// words.
bool asks_for(const Row& row, std::span<const std::string> words, std::string_view option);

} // namespace blockhost::cli
