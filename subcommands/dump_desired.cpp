// SPDX-License-Identifier: MIT
/// dump-desired: this host as a desired state.

#include "agent/dump.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "registry/json_tree.hpp"
#include "subcommands/platform_verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const auto platform = open_platform(call);
    call.printer.stage("looking at the guests");
    const agent::Observed observed = agent::observe_all(*platform, [&](std::size_t done, std::size_t all) {
        call.printer.detail(std::to_string(done) + " of " + std::to_string(all));
    });
    const agent::Dumped dumped =
        agent::dump_desired(observed, call.arguments.integer("generation").value_or(1));
    if (!observed.doubt.empty()) call.printer.warn("more guests may exist: " + observed.doubt);
    for (const agent::Remark& each : dumped.left_out)
        call.printer.warn(text::printable(each.guest) + ": left out is " + text::printable(each.what));
    call.printer.answer(JsonTree::parse(json::python_line(dumped.document)).write());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "The document names every guest, and says of it what the platform tells: kind, power, name, CPUs, "
    "memory, "
    "disk, description, tags, start at boot, protection. 'plan' over it finds nothing to do. What cannot be "
    "read, "
    "and what no document may say, is left out with a warning. Nothing is changed.";

} // namespace

cli::Row dump_desired_row() {
    return {.verb = "dump-desired",
            .summary = "write this host as a desired state, to begin with",
            .details = details,
            .options = {{.name = "generation",
                         .kind = cli::Option::Kind::integer,
                         .value = "N",
                         .default_text = "1",
                         .min = 1,
                         .max = agent::bounds::generation,
                         .help = "the document's number: each change has a higher one"}},
            .output = {.text = "the document, as JSON on several lines",
                       .json_keys = {"version", "host", "generation", "guests"}},
            .examples = {{"", "what a plan finds nothing to do for"},
                         {"--generation 43", "behind one that was accepted"}},
            .needs = cli::Needs::config,
            .run = run};
}

} // namespace blockhost::subcommands
