// SPDX-License-Identifier: MIT
/// __vms: prints the VMs' names for completion. It loads no module, and is silent about what goes wrong.

#include "registry/registry.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

bool fits(RecordStatus status, std::string_view wanted) {
    return wanted == "live" ? status != RecordStatus::destroyed : wanted == to_string(status);
}

std::vector<std::pair<VmName, RecordStatus>> names_of(const cli::Call& call) {
    const DbConfig config = read_db_config(call.paths);
    const auto file = call.mock ? mock_database(call.paths) : config.db_file;
    return Registry(file, {}, call.paths.state).read().statuses();
}

int run(cli::Call& call) {
    std::string names;
    try {
        for (const auto& [name, status] : names_of(call))
            if (fits(status, call.arguments.operands().front())) names += name.str() + "\n";
    } catch (const std::exception&) {
        return 0; // somebody pressed Tab: no place for complaints
    }
    call.printer.answer_raw(names);
    call.printer.flush_answer();
    return 0;
}

} // namespace

cli::Row vms_row() {
    return {
        .verb = "__vms",
        .summary = "print the VMs' names for completion",
        .operands = {{.name = "WHICH",
                      .help = "by what the VM database says",
                      .choices = {"live", "active", "suspended"}}},
        .needs = cli::Needs::registry,
        .run = run,
        .visibility = cli::Row::Visibility::hidden,
    };
}

} // namespace blockhost::subcommands
