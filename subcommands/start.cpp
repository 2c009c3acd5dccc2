// SPDX-License-Identifier: MIT
/// start: the row and its one line.

#include "operations/power.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    call.printer.stage("Starting VM: " + name.str());
    World world = open_world_of_panel(call);
    operations::start(world, name);
    call.printer.answer("VM started: " + name.str());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details = "A running VM is success. Host routes and the network filter are set "
                                     "again first. A suspended VM is refused: it is "
                                     "unpaid, and resuming it is the way.";

} // namespace

cli::Row start_row() {
    cli::Row row = power_row("start", "blockhost-vm-start");
    row.operands = {vm_operand(cli::Operand::Fits::active)};
    row.summary = "start a stopped VM, or let a paused one run on";
    row.details = details;
    row.output.text = "one line: the VM was started";
    row.output.unheard = "the VM runs all the same; a repeat finds it running";
    row.examples = {{"web-001", "start it, or let it run on when it is paused"}};
    row.run = run;
    return row;
}

} // namespace blockhost::subcommands
