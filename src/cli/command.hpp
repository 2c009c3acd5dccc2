#pragma once
/// What a verb is: one row. Parser, help, man pages, completion, PROJECT.yaml's list, the links and the
/// checks of the manifest are derived from the rows.

#include "base/error.hpp"
#include "base/talk.hpp"
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
    /// `rest`: one word or more, taken as they are; only the last operand may be optional or rest.
    enum class Count { one, optional, rest } count = Count::one;
    /// What completion offers for it.
    enum class Meaning { text, existing_vm, verb } meaning = Meaning::text;
    std::vector<std::string_view> choices = {}; ///< when not empty, nothing else is allowed
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
    std::vector<std::string_view> offers = {}; ///< of a text: what completion offers, beside all else
};

/// A command line of a verb, without the program's name and the verb, and what it does.
struct Example {
    std::string_view words = {}; ///< as a shell takes them, separated by single blanks, nothing quoted
    std::string_view meaning = {};
};

/// What stdout carries.
struct Output {
    std::string_view text = {}; ///< a sentence
    /// The keys of the JSON document that `json_call` prints; of each element where that is a list.
    std::vector<std::string_view> json_keys = {};
    std::string_view json_call = {}; ///< the option that asks for it; empty: the document comes unasked
};

/// What a verb must be able to reach before it can work.
enum class Needs { nothing, config, registry, observer, hypervisor };
/// What it does to the world.
enum class Effect { reads, changes, destroys };

/// A command line after parsing: every value has the form its option demands.
class Arguments {
  public:
    bool has(std::string_view option) const { return values_.count(std::string(option)) != 0; }
    std::optional<std::string> text(std::string_view option) const;
    std::optional<std::int64_t> integer(std::string_view option) const;
    const std::vector<std::string>& operands() const { return operands_; }

  private:
    friend class Parser;
    std::map<std::string, std::string> values_;
    std::vector<std::string> operands_;
};

class Printer;

/// What a verb's function gets.
struct Call {
    const Arguments& arguments;
    Paths paths; ///< already the mock ones with --mock
    bool mock = false;
    Printer& printer;
};

struct Row {
    std::string_view verb = {};
    std::string_view contract_name = {}; ///< the installed link; empty: none
    /// A name that it acts on too where somebody links it; another package's, so never installed.
    std::string_view foreign_name = {};
    std::string_view summary = {}; ///< one line, no full stop
    std::string_view details = {}; ///< paragraphs for help and man
    std::vector<Operand> operands = {};
    std::vector<Option> options = {};
    Output output = {};
    std::vector<Example> examples = {}; ///< one at least of each verb that is shown
    Needs needs = Needs::nothing;
    Effect effect = Effect::reads;
    int usage_status = 2; ///< exit status of a malformed command line
    /// How an Error leaves: contract verbs exit 1 for all; admin verbs by the error table.
    enum class Exit { contract, table } exit = Exit::table;
    std::string_view talk_prefix = {}; ///< "[vm-create] ": before each line on stderr; may be empty
    int (*run)(Call&) = nullptr;
    enum class Visibility { shown, hidden } visibility = Visibility::shown;
    /// For verbs that must answer whatever they are called with: when a call was refused before `run`
    /// (malformed command line, refused value, unusable environment), prints that answer and returns the exit
    /// status. `words` are without the program's name and the verb.
    int (*on_usage_error)(Printer& printer, std::span<const std::string> words) = nullptr;
    /// For verbs that also answer a failure on stdout in a form of their own: prints that answer. Not called
    /// for a malformed command line.
    void (*answer_failure)(Printer& printer, const Error& error) = nullptr;
};

/// The rows, in the order help shows them. Defined by the table in subcommands/.
std::span<const Row> rows();

const Row* row_of_verb(std::string_view verb);
/// By the installed link's name, or a foreign one.
const Row* row_of_contract_name(std::string_view name);

/// --help and --mock, which every verb has; all others (--json too) are in the rows. A row's own of that name
/// wins.
std::span<const Option> common_options();

/// Parses `words` (without the program's name and the verb) by the row (docs/contract.md, "Rules common to
/// all commands"): "--opt v", "--opt=v" (an empty value when nothing follows '='), options and operands in
/// any order, unique prefixes, one-letter spellings ("-v", "-n5", "-n 5"), "--" ends the options; of a
/// repeated option the last counts. A word that starts with '-' is a value only when it looks like a number,
/// an operand only behind "--". For a row whose last operand is Count::rest, everything behind the operand
/// before it is taken as it is. --help ends parsing: nothing else is then checked. Throws Error{usage}:
/// unknown (with the nearest as hint) or ambiguous option, missing value, missing or surplus operand, missing
/// required option; Error{invalid} for a value that its option refuses.
Arguments parse(const Row& row, std::span<const std::string> words);

} // namespace blockhost::cli
