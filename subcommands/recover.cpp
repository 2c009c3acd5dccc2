// SPDX-License-Identifier: MIT
/// recover: finishes what dead processes left.

#include "operations/recover.hpp"
#include "base/text/json.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

void print_json(cli::Printer& printer, const std::vector<operations::Recovery>& found) {
    boost::json::array all;
    for (const operations::Recovery& each : found)
        all.push_back(boost::json::object{{"name", each.name.str()},
                                          {"verb", each.verb},
                                          {"since", each.since},
                                          {"direction", each.direction},
                                          {"in_flight", each.in_flight},
                                          {"failure", each.failure}});
    printer.answer(json::python_line(all));
}

void print_lines(cli::Printer& printer, const std::vector<operations::Recovery>& found,
                 operations::Mode mode) {
    if (found.empty()) printer.answer("Nothing to recover");
    for (const operations::Recovery& each : found) {
        const bool pending = mode == operations::Mode::look || each.owner_alive;
        const std::string end = !each.failure.empty() ? "FAILED: " + each.failure : pending ? "" : "done";
        printer.answer(fmt::format("{}: {} since {}{}: {}{}{}", each.name.str(), each.verb, each.since,
                                   each.in_flight.empty() ? "" : " (stopped in " + each.in_flight + ")",
                                   each.direction, end.empty() ? "" : ": ", end));
    }
}

int run(cli::Call& call) {
    const auto name = name_or_all(call, "recover", "'recover --all --dry-run' shows what there is");
    const operations::Mode mode =
        call.arguments.has("dry-run") ? operations::Mode::look : operations::Mode::act;
    World world = open_world(call, mode == operations::Mode::look ? Intent::look : Intent::change);
    const auto found = operations::recover(world, name, mode);
    if (call.arguments.has("json"))
        print_json(call.printer, found);
    else
        print_lines(call.printer, found, mode);
    call.printer.flush_answer();
    return std::all_of(found.begin(), found.end(),
                       [](const operations::Recovery& each) { return each.failure.empty(); })
               ? 0
               : 1;
}

constexpr std::string_view details = "A create that was interrupted is undone, a destroy is finished, a "
                                     "start, stop or kill is closed without being "
                                     "carried out. An operation whose process is alive is left alone. Every "
                                     "verb does the same for its own VM first, so "
                                     "recover is only needed for VMs nobody touches again.";

} // namespace

cli::Row recover_row() {
    return {
        .verb = "recover",
        .summary = "finish what interrupted operations left",
        .details = details,
        .operands = {{.name = "NAME",
                      .help = "the VM",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm}},
        .options = {{.name = "all", .help = "every VM with an open operation"},
                    {.name = "dry-run", .help = "only show what would be done"},
                    {.name = "json", .help = "print a JSON array"}},
        .output =
            {.text = "one line for each open operation: whose it is, where it stopped and which way it goes",
             .json_keys = {"name", "verb", "since", "direction", "in_flight", "failure"},
             .json_call = "--json",
             .unheard = "what was left half done is finished all the same; a repeat finds nothing"},
        .examples = {{"--all --dry-run", "what there is to be finished"},
                     {"web-001", "finish that VM's operation"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit_1 = "an operation could not be finished; its line says why",
        .run = run,
    };
}

} // namespace blockhost::subcommands
