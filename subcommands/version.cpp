// SPDX-License-Identifier: MIT
/// version: prints the version.

#include "cli/help.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    call.printer.answer("blockhost-libvirt " + std::string(cli::version()));
    call.printer.flush_answer();
    return 0;
}

} // namespace

cli::Row version_row() {
    return {.verb = "version",
            .summary = "print the version",
            .output = {.text = "the program's name and version"},
            .examples = {{"", "print it"}},
            .run = run};
}

} // namespace blockhost::subcommands
