// SPDX-License-Identifier: MIT
/// stop: the row and its one line.

#include "operations/power.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    call.printer.stage("Stopping VM (graceful ACPI shutdown): " + name.str());
    World world = open_world_of_panel(call);
    if (operations::stop(world, name) == operations::Stopped::still_running)
        call.printer.warn(name.str() + " has not shut down yet; kill forces it off");
    call.printer.answer("Shutdown signal sent: " + name.str());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details = "Success also when the guest is still running after 30 seconds; then a "
                                     "line on stderr says so. A VM that is off is "
                                     "success.";

} // namespace

cli::Row stop_row() {
    cli::Row row = power_row("stop", "blockhost-vm-stop");
    row.summary = "ask the guest to shut down and wait for up to 30 seconds";
    row.details = details;
    row.output.text = "one line: the VM was stopped";
    row.output.unheard =
        "the VM was told to shut down all the same; a repeat finds it off, or tells it again";
    row.examples = {{"web-001", "press its power button and wait"}};
    row.run = run;
    return row;
}

} // namespace blockhost::subcommands
