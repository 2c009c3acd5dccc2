// SPDX-License-Identifier: MIT
/// __dump: the command line as data; man pages, completion, docs and the manifest's check are made from it.

#include "cli/help.hpp"
#include "subcommands/generated.hpp"
#include "subcommands/verbs.hpp"
#include "vm/state.hpp"

namespace blockhost::subcommands {

namespace {

std::string page_of(const std::vector<std::string>& operands) {
    if (operands.size() < 2) return cli::man_page(nullptr);
    const cli::Row* row = cli::row_of_verb(operands[1]);
    if (!row) throw Error(Code::usage, "there is no verb '" + operands[1] + "'", "'help' lists the verbs");
    return cli::man_page(row);
}

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string what = operands.empty() ? "json" : operands.front();
    if (what == "json")
        call.printer.answer(cli::dump_json());
    else if (what == "states")
        call.printer.answer_raw(state_machine_markdown());
    else if (what == "project")
        call.printer.answer_raw(project_yaml());
    else if (what == "overview")
        call.printer.answer_raw(cli::roff(overview_page()));
    else if (what == "man")
        call.printer.answer_raw(page_of(operands));
    else
        call.printer.answer_raw(cli::completion(what));
    call.printer.flush_answer();
    return 0;
}

} // namespace

cli::Row dump_row() {
    return {
        .verb = "__dump",
        .summary = "print what is generated from the command table",
        .operands = {{.name = "WHAT",
                      .help = "json, states, project, overview, man, bash, zsh or fish",
                      .count = cli::Operand::Count::optional},
                     {.name = "VERB", .help = "of a manual page", .count = cli::Operand::Count::optional}},
        .run = run,
        .visibility = cli::Row::Visibility::hidden,
    };
}

} // namespace blockhost::subcommands
