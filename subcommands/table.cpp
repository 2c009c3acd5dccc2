/// The table of verbs, in the order help shows them. A new verb is one line here and one file beside.

#include "hypervisor/load.hpp"
#include "subcommands/verbs.hpp"

#include <vector>

namespace blockhost {

std::span<const cli::Row> cli::rows() {
    using namespace subcommands;
    static const std::vector<Row> table{
        create_row(), destroy_row(), start_row(),   stop_row(),    kill_row(), status_row(),
        list_row(),   metrics_row(), recover_row(), version_row(), help_row(), dump_row(),
    };
    return table;
}

namespace subcommands {

cli::Operand vm_operand() {
    return {.name = "NAME", .help = "the VM's name", .meaning = cli::Operand::Meaning::existing_vm};
}

cli::Row power_row(std::string_view verb, std::string_view contract_name) {
    return {.verb = verb,
            .contract_name = contract_name,
            .operands = {vm_operand()},
            .needs = cli::Needs::hypervisor,
            .effect = cli::Effect::changes,
            .exit = cli::Row::Exit::contract};
}

VmName vm_name(const cli::Call& call) {
    return VmName(call.arguments.operands().front());
}

World open_world(const cli::Call& call, Intent intent) {
    return World(call.paths, call.mock ? Reality::simulated : Reality::real, intent, call.printer);
}

std::unique_ptr<Hypervisor> open_observer(const cli::Call& call) {
    return call.mock ? open_simulated(call.paths.world) : open_libvirt(libvirt_uri(), Access::read);
}

} // namespace subcommands
} // namespace blockhost
