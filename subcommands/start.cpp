/// start: the row and its one line.

#include "lifecycle/power.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    call.printer.stage("Starting VM: " + name.str());
    World world = open_world(call, Intent::change);
    start(world, name);
    call.printer.answer("VM started: " + name.str());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "A running VM is success. Host routes and the network filter are set again first. A suspended VM is refused: it is "
    "unpaid, and resuming it is the way.";

} // namespace

cli::Row start_row() {
    return {
        .verb = "start",
        .contract_name = "blockhost-vm-start",
        .summary = "start a stopped VM, or let a paused one run on",
        .details = details,
        .operands = {vm_operand()},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .run = run,
    };
}

} // namespace blockhost::subcommands
