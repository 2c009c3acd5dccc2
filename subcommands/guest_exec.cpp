// SPDX-License-Identifier: MIT
/// guest-exec: runs one command in the guest; output and exit status are as if it had run here.

#include "subcommands/verbs.hpp"
#include "vm/guest_line.hpp"

namespace blockhost::subcommands {

namespace {

using namespace std::chrono_literals;

/// For everything, from the greeting of the agent to its last answer.
constexpr auto longest_run = 120s;

/// The words behind NAME, joined by single blanks, without a leading "--".
std::string command_of(const cli::Call& call) {
    const auto& operands = call.arguments.operands();
    auto word = operands.begin() + 1;
    if (*word == "--") ++word;
    if (word == operands.end()) throw Error(Code::usage, "the command is missing");
    std::string command = *word++;
    for (; word != operands.end(); ++word) command += " " + *word;
    return command;
}

guest::Outcome run_in_guest(const cli::Call& call, const VmName& name, const std::string& command) {
    const auto hypervisor = open_for_agent(call);
    require_ours(call, *hypervisor, name);
    const AgentLine line(*hypervisor, name, Deadline::in(longest_run));
    line.greet();
    return guest::shell(line.call(), command, line.left(), line.waiting());
}

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    const std::string command = command_of(call);
    guest::Outcome outcome;
    try {
        outcome = run_in_guest(call, name, command);
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        call.printer.say_bare("[vm-guest-exec] Guest agent failed: " + std::string(error.what()));
        return 1;
    }
    call.printer.answer_raw(outcome.out);
    call.printer.flush_answer();
    call.printer.pass_on(outcome.err);
    return outcome.status();
}

constexpr std::string_view details =
    "The words behind NAME are joined by single blanks and run by /bin/sh in the guest; one leading '--' is "
    "dropped, and options of this verb count only before NAME. What the command writes is written here, byte "
    "for byte, when it has ended; the exit status is the command's, or 128 and the signal that killed it. "
    "When the guest cannot be asked, the status is 1 and a line on stderr, 'Guest agent failed: ...', says "
    "why; a guest that does not answer is given up within 3 seconds.\n\n"
    "A command may take 120 seconds, be 1 MiB long and write 3,000,000 bytes to stdout or stderr; two long "
    "streams together may be more than libvirt takes; "
    "one that does not end in time goes on in the guest.";

} // namespace

cli::Row guest_exec_row() {
    return {
        .verb = "guest-exec",
        .contract_name = "blockhost-vm-guest-exec",
        .summary = "run a command in the guest through its agent",
        .details = details,
        .operands = {vm_operand(cli::Operand::Fits::active),
                     {.name = "COMMAND",
                      .help = "the command, as for sh -c",
                      .count = cli::Operand::Count::rest}},
        .output = {.text = "what the command wrote, byte for byte",
                   .unheard = "the command has run all the same; a repeat runs it again"},
        .examples = {{"web-001 uptime", "how long the guest is up"},
                     {"web-001 systemctl restart nginx", "restart a service in it"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[vm-guest-exec] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
