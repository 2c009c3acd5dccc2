// SPDX-License-Identifier: MIT
// The rows the tests of the cli floor work with: one of each kind of verb, operand and option.
#include "tests/unit/cli/table.hpp"

#include "cli/printer.hpp"

#include <stdexcept>
#include <vector>

using namespace blockhost;
using namespace blockhost::cli;

namespace unit_cli {

std::vector<Ran>& ran() {
    static std::vector<Ran> calls;
    return calls;
}

} // namespace unit_cli

namespace {

using Kind = Option::Kind;
using Count = Operand::Count;

const Operand existing_vm{.name = "NAME", .help = "the VM's name", .meaning = Operand::Meaning::existing_vm};

int note(Call& call) {
    unit_cli::ran().push_back({call.arguments, call.paths, call.mock});
    call.printer.answer("done");
    return 0;
}

/// Fails as its operand says.
int fail(Call& call) {
    const std::string& how = call.arguments.operands()[0];
    if (how == "busy") throw Error(Code::busy, "the VM is busy", "wait");
    if (how == "interrupted") throw Error(Code::interrupted, "asked to give up");
    if (how == "usage") throw Error(Code::usage, "--a and --b exclude each other");
    if (how == "other") throw std::runtime_error("out of luck");
    return 7;
}

int answer_unknown(Printer& printer, std::span<const std::string>) {
    printer.answer("unknown");
    return 0;
}

std::vector<Row> make_rows() {
    Row create{.verb = "create",
               .contract_name = "blockhost-vm-create",
               .summary = "create a VM",
               .details =
                   "Takes addresses from the pools, makes a disk and waits until the guest is ready.\n\n"
                   "  blockhost-vm-create web --owner-wallet 0xab --apply\n\n"
                   ".A paragraph that starts with a point, 'quotes' and a back\\slash."};
    create.operands = {{.name = "NAME", .help = "the new VM's name"}};
    create.options = {
        {.name = "owner-wallet",
         .kind = Kind::text,
         .value = "ADDR",
         .help = "whose VM it is",
         .presence = Option::Presence::required},
        {.name = "memory",
         .kind = Kind::integer,
         .value = "MB",
         .default_text = "2048",
         .min = 64,
         .max = 1048576,
         .help = "memory"},
        {.name = "offset",
         .kind = Kind::integer,
         .value = "N",
         .min = -5,
         .max = 5,
         .help = "a signed number"},
        {.name = "nft-token-id", .kind = Kind::integer, .value = "INT", .help = "echoed in the answer"},
        {.name = "ssh-key", .kind = Kind::file, .value = "FILE", .help = "a public key for the first user"},
        {.name = "apply", .help = "really do it"},
        {.name = "no-mint", .standing = Option::Standing::ignored},
        {.name = "user-signature",
         .kind = Kind::integer,
         .value = "HEX",
         .standing = Option::Standing::ignored},
        {.name = "username",
         .kind = Kind::text,
         .value = "USER",
         .default_text = "admin",
         .help = "the first user"},
    };
    create.needs = Needs::hypervisor;
    create.effect = Effect::changes;
    create.exit = Row::Exit::contract;
    create.talk_prefix = "[vm-create] ";
    create.run = note;

    Row destroy{.verb = "destroy",
                .contract_name = "blockhost-vm-destroy",
                .foreign_name = "another-destroy",
                .summary = "destroy a VM with its disk",
                .operands = {existing_vm},
                .needs = Needs::hypervisor,
                .effect = Effect::destroys,
                .exit = Row::Exit::contract,
                .talk_prefix = "[destroy] ",
                .run = note};

    Row status{.verb = "status",
               .contract_name = "blockhost-vm-status",
               .summary = "print a VM's status",
               .operands = {existing_vm},
               .needs = Needs::observer,
               .usage_status = 0,
               .exit = Row::Exit::contract,
               .run = note,
               .on_usage_error = answer_unknown};

    Row list{.verb = "list", .contract_name = "blockhost-vm-list", .summary = "list the VMs", .run = note};
    list.options = {{.name = "format",
                     .kind = Kind::choice,
                     .value = "FORMAT",
                     .default_text = "table",
                     .help = "how to print them",
                     .choices = {"table", "json"}},
                    {.name = "json", .help = "as --format json"},
                    {.name = "sizes",
                     .kind = Kind::choice,
                     .value = "UNIT",
                     .help = "tell sizes",
                     .choices = {"mib", "gib"},
                     .implicit = "mib"},
                    {.name = "verbose", .help = "say more", .letter = 'v'},
                    {.name = "limit",
                     .kind = Kind::integer,
                     .value = "N",
                     .min = 1,
                     .max = std::numeric_limits<std::int64_t>::max(),
                     .help = "at most so many",
                     .letter = 'n'}};
    list.needs = Needs::registry;

    Row guest_exec{.verb = "guest-exec",
                   .contract_name = "blockhost-vm-guest-exec",
                   .summary = "run a command in a guest",
                   .operands = {existing_vm, {.name = "COMMAND", .help = "its words", .count = Count::rest}},
                   .options = {{.name = "timeout",
                                .kind = Kind::integer,
                                .value = "S",
                                .min = 1,
                                .max = 120,
                                .help = "seconds to wait"}},
                   .needs = Needs::hypervisor,
                   .effect = Effect::changes,
                   .run = note};

    Row failing{.verb = "fail",
                .summary = "fail in a way of your choice",
                .operands = {{.name = "HOW", .help = "the way"}},
                .options = {{.name = "json", .help = "failures as JSON"}},
                .talk_prefix = "[fail] ",
                .run = fail};

    Row completion{.verb = "completion",
                   .summary = "print a completion script",
                   .operands = {{.name = "SHELL", .help = "whose", .choices = {"bash", "zsh", "fish"}}},
                   .run = note};

    Row help{.verb = "help",
             .summary = "show the help of a verb",
             .operands = {{.name = "VERB",
                           .help = "which",
                           .count = Count::optional,
                           .meaning = Operand::Meaning::verb}},
             .run = note};

    Row dump{.verb = "__dump",
             .summary = "the command line as data",
             .run = note,
             .visibility = Row::Visibility::hidden};
    return {create, destroy, status, list, guest_exec, failing, completion, help, dump};
}

} // namespace

std::span<const Row> blockhost::cli::rows() {
    static const std::vector<Row> table = make_rows();
    return table;
}
