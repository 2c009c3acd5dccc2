// SPDX-License-Identifier: MIT
/// operations: what was asked for, what is under way, and how it ended.

#include "agent/database.hpp"
#include "base/interrupt.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "execution/journal.hpp"
#include "platform/action_json.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using execution::Journal;
using execution::Operation;
using execution::State;

constexpr std::string_view default_most = "50";

bj::value shown(const std::optional<Instant>& instant) {
    if (!instant) return nullptr;
    return bj::value(format_instant(*instant));
}

bj::value shown(const std::optional<Error>& error) {
    if (!error) return nullptr;
    return bj::object{
        {"code", row_of(error->code()).name}, {"message", error->message()}, {"hint", error->hint()}};
}

bj::object shown(const Operation& operation) {
    return {{"id", operation.id},
            {"state", to_string(operation.state)},
            {"guest", operation.target.guest},
            {"incarnation", operation.target.incarnation},
            {"action", to_json(operation.action)},
            {"source", to_string(operation.source.kind)},
            {"source_name", operation.source.name},
            {"key", operation.key},
            {"after", operation.after},
            {"undoes", operation.undoes},
            {"arrived", shown(std::optional(operation.arrived))},
            {"begin_before", shown(operation.begin_before)},
            {"noted", shown(operation.noted_at)},
            {"begun", shown(operation.begun_at)},
            {"ended", shown(operation.ended_at)},
            {"handle", operation.handle},
            {"made", operation.made.guest},
            {"made_incarnation", operation.made.incarnation},
            {"cancel_wished", operation.cancel_wished},
            {"detail", operation.detail},
            {"warnings", bj::array(operation.warnings.begin(), operation.warnings.end())},
            {"error", shown(operation.error)}};
}

std::string source_of(const Operation& operation) {
    return std::string(to_string(operation.source.kind)) +
           (operation.source.name.empty() ? "" : " " + text::printable(operation.source.name));
}

/// Why it is as it is: one clause.
std::string why(const Operation& operation) {
    const std::string all = operation.error ? operation.error->what() : operation.detail;
    if (!all.empty() || operation.warnings.empty()) return text::printable(all);
    return "warning: " + text::printable(operation.warnings.front());
}

using Row = std::array<std::string, 7>;

Row row_for(const Operation& operation) {
    return {operation.id,
            std::string(to_string(operation.state)),
            operation.target.guest.empty() ? "-" : text::printable(operation.target.guest),
            std::string(to_string(kind_of(operation.action))),
            format_instant(std::chrono::floor<std::chrono::seconds>(operation.arrived)),
            source_of(operation),
            why(operation)};
}

void print_table(cli::Printer& printer, const std::vector<Operation>& operations) {
    std::vector<Row> rows{{"ID", "STATE", "GUEST", "ACTION", "ARRIVED", "SOURCE", "WHY"}};
    for (const Operation& operation : operations) rows.push_back(row_for(operation));
    std::array<std::size_t, std::tuple_size_v<Row>> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}", row[i], widths[i] + 2);
        printer.answer(line.substr(0, line.find_last_not_of(' ') + 1));
    }
}

void print_one(cli::Printer& printer, const Operation& operation) {
    const auto line = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) printer.answer(fmt::format("{:<12} {}", name, text::printable(value, 1000)));
    };
    const auto moment = [](const std::optional<Instant>& instant) {
        return instant ? format_instant(*instant) : std::string();
    };
    line("id", operation.id);
    line("state", std::string(to_string(operation.state)) +
                      (operation.cancel_wished && !is_end(operation.state) ? ", asked to stop" : ""));
    line("guest", operation.target.guest);
    line("incarnation", operation.target.incarnation);
    line("action", json::python_line(to_json(operation.action)));
    line("source", source_of(operation));
    line("key", operation.key);
    line("after", operation.after);
    line("undoes", operation.undoes);
    line("arrived", moment(operation.arrived));
    line("begin before", moment(operation.begin_before));
    line("begun", moment(operation.begun_at));
    line("ended", moment(operation.ended_at));
    line("handle", operation.handle);
    line("made", operation.made.guest);
    line("detail", operation.detail);
    for (const std::string& warning : operation.warnings) line("warning", warning);
    if (operation.error) line("error", operation.error->what());
}

void print_change(cli::Printer& printer, const Operation& operation) {
    std::string line;
    for (const std::string& word : row_for(operation))
        if (!word.empty()) line += (line.empty() ? "" : "  ") + word;
    printer.answer(line);
}

int status_of(const Operation& operation) {
    return is_end(operation.state) && operation.state != State::done ? 1 : 0;
}

Error no_operation(const std::string& id) {
    return Error(Code::not_found, "there is no operation " + text::printable(id),
                 "'blockhost-libvirt operations' lists them");
}

/// The journal once somebody made one.
class LateJournal {
  public:
    explicit LateJournal(const cli::Call& call) : call_(call) {}
    Journal* get() {
        if (!journal_)
            if (auto database =
                    agent::existing_database(call_.paths, {.patience = std::chrono::seconds(10),
                                                           .check = [] { Interruption().check(); }})) {
                tell_of_clock(call_, agent::note_time(*database, now()));
                journal_.emplace(std::move(*database));
            }
        return journal_ ? &*journal_ : nullptr;
    }

  private:
    const cli::Call& call_;
    std::optional<Journal> journal_;
};

/// Prints each change, of one operation until it ended.
int follow(cli::Call& call, LateJournal& late, const std::string& id) {
    const bool as_json = call.arguments.has("json");
    const auto print = [&](const Operation& operation) {
        if (as_json)
            call.printer.answer(json::python_line(shown(operation)));
        else
            print_change(call.printer, operation);
        call.printer.flush_answer();
    };
    std::int64_t position = 0;
    if (Journal* journal = late.get()) {
        position = journal->position();
        if (!id.empty()) {
            const auto operation = journal->find(id);
            if (!operation) throw no_operation(id);
            print(*operation);
            if (is_end(operation->state)) return status_of(*operation);
            position = operation->changed;
        } else {
            for (const Operation& open : journal->open()) print(open);
        }
    } else if (!id.empty()) {
        throw no_operation(id);
    }
    for (constexpr std::chrono::milliseconds between(200);;) {
        if (Journal* journal = late.get())
            for (const Operation& operation : journal->changed_since(position)) {
                position = operation.changed;
                if (!id.empty() && operation.id != id) continue;
                print(operation);
                if (!id.empty() && is_end(operation.state)) return status_of(operation);
            }
        pause_for(between, [] { Interruption().check(); });
    }
}

int run(cli::Call& call) {
    LateJournal late(call);
    const std::string id = call.arguments.operands().empty() ? "" : call.arguments.operands().front();
    if (call.arguments.has("follow")) return follow(call, late, id);
    Journal* journal = late.get();
    std::vector<Operation> found;
    if (!id.empty()) {
        auto one = journal != nullptr ? journal->find(id) : std::nullopt;
        if (!one) throw no_operation(id);
        found.push_back(std::move(*one));
    } else if (journal != nullptr) {
        found = journal->latest(static_cast<std::size_t>(
            call.arguments.integer("most").value_or(text::parse_int(default_most).value())));
        std::ranges::reverse(found);
    }
    if (call.arguments.has("json")) {
        bj::array all;
        for (const Operation& operation : found) all.push_back(shown(operation));
        call.printer.answer(json::python_line(all));
    } else if (id.empty()) {
        print_table(call.printer, found);
    } else {
        print_one(call.printer, found.front());
    }
    call.printer.flush_answer();
    return id.empty() ? 0 : status_of(found.front());
}

constexpr std::string_view details =
    "An operation is one action on one guest, asked for by an admin, the hub, the desired state, a timer or "
    "the healing of crashed guests. The journal has it from the wish to its end: queued, waiting for "
    "signature, noted (about to begin), begun, then done, failed, unknown (it may have happened), rejected "
    "or cancelled. Nothing is changed here.\n\n"
    "Without --follow the newest come last. With it, a line tells of each change: of all operations until "
    "the call is interrupted, of one until it ended.";

} // namespace

cli::Row operations_row() {
    return {
        .verb = "operations",
        .summary = "tell what the host agent was asked to do, and what came of it",
        .details = details,
        .operands = {{.name = "ID",
                      .help = "one operation alone, in full",
                      .count = cli::Operand::Count::optional}},
        .options = {{.name = "follow", .help = "print each change as it happens"},
                    {.name = "json", .help = "print a JSON list; with --follow a document a line"},
                    {.name = "most",
                     .kind = cli::Option::Kind::integer,
                     .value = "NUMBER",
                     .default_text = default_most,
                     .min = 1,
                     .max = 100'000,
                     .help = "how many of the newest are shown"}},
        .output =
            {.text = "a table with a row for each operation, or one operation's lines",
             .json_keys =
                 {"id",    "state",  "guest",  "incarnation",      "action",        "source", "source_name",
                  "key",   "after",  "undoes", "arrived",          "begin_before",  "noted",  "begun",
                  "ended", "handle", "made",   "made_incarnation", "cancel_wished", "detail", "warnings",
                  "error"},
             .json_call = "--json"},
        .examples = {{"", "look at the newest"},
                     {"--most 500 --json", "for a program"},
                     {"--follow", "watch what happens"}},
        .needs = cli::Needs::config,
        .exit_1 = "the one operation that was named ended otherwise than done",
        .run = run};
}

} // namespace blockhost::subcommands
