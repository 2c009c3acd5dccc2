/// status: one of four words, always with exit status 0.

#include "hypervisor/load.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

constexpr std::string_view unknown = "unknown";

/// libvirt's "no such domain" is destroyed; anything that keeps us from asking is unknown.
std::string status_of(const cli::Call& call) {
    try {
        const VmName name = vm_name(call);
        const auto state = open_observer(call)->state(name.str());
        return std::string(state ? contract_status(*state) : "destroyed");
    } catch (const Error& error) {
        call.printer.error(error);
        return std::string(unknown);
    } catch (const std::exception& error) {
        call.printer.error(Error(Code::internal, error.what()));
        return std::string(unknown);
    }
}

int run(cli::Call& call) {
    call.printer.answer(status_of(call));
    call.printer.flush_answer();
    return 0;
}

int answer_anyway(cli::Printer& printer, std::span<const std::string>) {
    printer.answer(unknown);
    printer.flush_answer();
    return 0;
}

constexpr std::string_view details = "active: it runs. suspended: it is off or paused. destroyed: libvirt "
                                     "has no such domain. unknown: libvirt could not "
                                     "be asked, or the name is no VM name; the reason is on stderr.";

} // namespace

cli::Row status_row() {
    return {
        .verb = "status",
        .contract_name = "blockhost-vm-status",
        .summary = "print active, suspended, destroyed or unknown",
        .details = details,
        .operands = {vm_operand()},
        .output = {.text = "one word: active, suspended, destroyed or unknown"},
        .examples = {{"web-001", "what libvirt says of it"}},
        .needs = cli::Needs::observer,
        .effect = cli::Effect::reads,
        .usage_status = 0,
        .exit = cli::Row::Exit::contract,
        .run = run,
        .on_usage_error = answer_anyway,
    };
}

} // namespace blockhost::subcommands
