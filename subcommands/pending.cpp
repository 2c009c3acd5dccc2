// SPDX-License-Identifier: MIT
/// pending: what waits for an operator's signature.

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

using authority::Pending;

namespace {

std::string seconds_of(Instant instant) {
    return format_instant(std::chrono::floor<std::chrono::seconds>(instant));
}

void print_json(cli::Printer& printer, const std::vector<Pending>& all) {
    boost::json::array list;
    for (const Pending& each : all)
        list.push_back(boost::json::object{{"id", each.operation},
                                           {"guest", each.envelope.target.guest},
                                           {"incarnation", each.envelope.target.incarnation},
                                           {"action", to_json(each.envelope.change)},
                                           {"source", each.source},
                                           {"requester", each.requester},
                                           {"asked", format_instant(each.asked_at)},
                                           {"not_after", format_instant(each.envelope.not_after)},
                                           {"document", each.document()}});
    printer.answer(json::python_line(list));
}

void print_lines(cli::Printer& printer, const std::vector<Pending>& all) {
    if (all.empty()) return printer.answer("Nothing waits for a signature.");
    for (const Pending& each : all)
        printer.answer(fmt::format(
            "{}  {} of guest {}, asked for by {} at {}, until {}", each.operation,
            described(each.envelope.change), text::printable(each.envelope.target.guest),
            text::printable(each.requester), seconds_of(each.asked_at), seconds_of(each.envelope.not_after)));
}

int run(cli::Call& call) {
    agent::Engine engine = open_engine(call);
    const auto& operands = call.arguments.operands();
    const auto all = operands.empty() ? engine.waiting() : std::vector{engine.waiting_one(operands.front())};
    if (call.arguments.has("json"))
        print_json(call.printer, all);
    else if (!operands.empty())
        call.printer.answer(all.front().document());
    else
        print_lines(call.printer, all);
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "An action that can lose the only copy of data waits until an operator signed exactly that: this guest "
    "as "
    "it is now, these parameters, this host, for a time. With ID the document is printed that 'sign' takes, "
    "on "
    "this machine or on an operator's own; 'approve' hands in what was signed. What waits no longer, because "
    "its time is over or its guest changed, is ended.";

} // namespace

cli::Row pending_row() {
    return {.verb = "pending",
            .summary = "list what waits for an operator's signature",
            .details = details,
            .operands = {{.name = "ID",
                          .help = "print the document to sign of this operation",
                          .count = cli::Operand::Count::optional}},
            .options = {{.name = "json", .help = "print a JSON list"}},
            .output = {.text = "a line for each operation, or one operation's document as one line of JSON",
                       .json_keys = {"id", "guest", "incarnation", "action", "source", "requester", "asked",
                                     "not_after", "document"},
                       .json_call = "--json"},
            .examples = {{"", "look what waits"},
                         {"4f2a91c07be8d356", "the document for 'sign'"},
                         {"--json", "for a program"}},
            .needs = cli::Needs::config,
            .run = run};
}

} // namespace blockhost::subcommands
