// SPDX-License-Identifier: MIT
/// destroy: the row and its one line.

#include "operations/destroy.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    destroy_behind_gate(call, name, [&] {
        World world = open_world_of_panel(call);
        operations::destroy(world, name);
    });
    call.printer.answer("VM destroyed: " + name.str());
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Forces the VM off, undefines it, deletes its disk, seed and logs, and "
    "releases its addresses, in that order: no "
    "disk goes before its domain is gone, and nothing is touched when "
    "libvirt cannot be asked. An unknown or already "
    "destroyed VM is success. A create of that name under way is asked to "
    "give up first. What fails half-way is "
    "finished by the next destroy, or by recover.\n\n"
    "Where agent.json requires signatures of everybody, it is an operation that "
    "waits for one, and the exit status is that of a failure: 'approve' carries "
    "it out. Where this host has an agent otherwise, its record says that root "
    "did it.";

} // namespace

cli::Row destroy_row() {
    return {
        .verb = "destroy",
        .contract_name = "blockhost-vm-destroy",
        .summary = "remove a VM with its disk and release its addresses",
        .details = details,
        .operands = {vm_operand()},
        .output = {.text = "one line: the VM was destroyed",
                   .unheard = "the VM is destroyed all the same; a repeat finds nothing to do"},
        .examples = {{"web-001", "destroy it; an unknown VM is success too"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::destroys,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[destroy] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
