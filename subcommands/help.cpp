// SPDX-License-Identifier: MIT
/// help: prints the overview, or one verb's manual page.

#include "cli/help.hpp"
#include "base/text/text.hpp"
#include "cli/page.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (operands.empty()) {
        call.printer.answer_raw(cli::overview());
    } else {
        const cli::Row* row = cli::row_of_verb(operands.front());
        if (!row) row = cli::row_of_contract_name(operands.front());
        if (!row)
            throw Error(Code::usage, "there is no verb '" + text::printable(operands.front()) + "'",
                        "'blockhost-libvirt help' lists the verbs");
        const auto [width, styled] = call.printer.sheet();
        const auto style = styled ? cli::Style::terminal : cli::Style::none;
        call.printer.answer_raw(cli::page_text(cli::page_of(*row), width, style));
    }
    call.printer.flush_answer();
    return 0;
}

} // namespace

cli::Row help_row() {
    return {
        .verb = "help",
        .summary = "show the verbs, or one verb's manual page",
        .operands = {{.name = "VERB",
                      .help = "the verb to explain",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::verb}},
        .output = {.text = "the verbs, or the manual page of one"},
        .examples = {{"", "list the verbs"}, {"create", "the manual page of create"}},
        .run = run,
    };
}

} // namespace blockhost::subcommands
