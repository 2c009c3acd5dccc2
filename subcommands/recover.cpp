/// recover: finishes what dead processes left.

#include "lifecycle/recover.hpp"
#include "base/json.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

void print_json(cli::Printer& printer, const std::vector<Recovery>& found) {
    boost::json::array all;
    for (const Recovery& each : found)
        all.push_back(boost::json::object{{"name", each.name.str()},
                                          {"verb", each.verb},
                                          {"since", each.since},
                                          {"direction", to_string(each.direction)},
                                          {"in_flight", each.in_flight},
                                          {"failure", each.failure}});
    printer.answer(json::python_line(all));
}

void print_lines(cli::Printer& printer, const std::vector<Recovery>& found, Mode mode) {
    if (found.empty()) printer.answer("Nothing to recover");
    for (const Recovery& each : found) {
        const bool pending = mode == Mode::look || each.direction == Recovery::Direction::owner_alive;
        const std::string end = !each.failure.empty() ? "FAILED: " + each.failure : pending ? "" : "done";
        printer.answer(fmt::format("{}: {} since {}{}: {}{}{}", each.name.str(), each.verb, each.since,
                                   each.in_flight.empty() ? "" : " (stopped in " + each.in_flight + ")",
                                   to_string(each.direction), end.empty() ? "" : ": ", end));
    }
}

int run(cli::Call& call) {
    const auto name = name_or_all(call, "recover", "'recover --all --dry-run' shows what there is");
    const Mode mode = call.arguments.has("dry-run") ? Mode::look : Mode::act;
    World world = open_world(call, mode == Mode::look ? Intent::look : Intent::change);
    const auto found = recover(world, name, mode);
    if (call.arguments.has("json"))
        print_json(call.printer, found);
    else
        print_lines(call.printer, found, mode);
    call.printer.flush_answer();
    return std::all_of(found.begin(), found.end(), [](const Recovery& each) { return each.failure.empty(); })
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
             .json_call = "--json"},
        .examples = {{"--all --dry-run", "what there is to be finished"},
                     {"web-001", "finish that VM's operation"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
