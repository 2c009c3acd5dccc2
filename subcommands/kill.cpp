// SPDX-License-Identifier: MIT
/// kill: the row and its one line.

#include "operations/power.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    call.printer.stage("Force-stopping VM: " + name.str());
    World world = open_world_of_panel(call);
    operations::kill(world, name);
    call.printer.answer("VM force-stopped: " + name.str());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details = "Like pulling the plug: unsynced data in the guest is lost. A VM that "
                                     "is off or absent is success. A create of that "
                                     "name under way is asked to give up.";

} // namespace

cli::Row kill_row() {
    cli::Row row = power_row("kill", "blockhost-vm-kill");
    row.summary = "force a VM off at once";
    row.details = details;
    row.output.text = "one line: the VM was forced off";
    row.output.unheard = "the VM is off all the same; a repeat finds nothing to do";
    row.examples = {{"web-001", "pull its plug"}};
    row.run = run;
    return row;
}

} // namespace blockhost::subcommands
