// SPDX-License-Identifier: MIT
/// reject: what waits for a signature is not wanted.

#include "cli/printer.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const std::string& id = call.arguments.operands().front();
    agent::Engine engine = open_engine(call);
    engine.reject(id, "uid " + std::to_string(::getuid()));
    call.printer.answer(id + ": rejected");
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "The operation is over, and its guest stays as it is. Whoever wants it still asks anew.";

} // namespace

cli::Row reject_row() {
    return {.verb = "reject",
            .summary = "end an operation that waits for an operator's signature",
            .details = details,
            .operands = {{.name = "ID", .help = "the operation, as 'pending' lists it"}},
            .output = {.text = "one line: the operation, rejected",
                       .unheard = "the operation is over; a repeat says that it does not wait"},
            .examples = {{"4f2a91c07be8d356", "it stays as it is"}},
            .needs = cli::Needs::config,
            .effect = cli::Effect::changes,
            .run = run};
}

} // namespace blockhost::subcommands
