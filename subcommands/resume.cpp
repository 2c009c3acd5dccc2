// SPDX-License-Identifier: MIT
/// resume: lets a suspended VM run again.

#include "operations/resume.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    const operations::ResumeRequest request{vm_name(call), call.arguments.integer("extend-days")};
    const bool dry = call.arguments.has("dry-run");
    call.printer.stage("Resuming VM: " + request.name.str());
    World world = open_world(call, dry ? Intent::look : Intent::change);
    const Instant expires_at =
        dry ? operations::preview_resume(world, request) : operations::resume(world, request);
    call.printer.answer((dry ? "Would expire: " : "Expires: ") + format_instant(expires_at));
    call.printer.answer(dry ? "[DRY RUN] Would resume '" + request.name.str() + "'"
                            : "VM '" + request.name.str() + "' resumed successfully");
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Only a suspended VM is resumed. Without --extend-days an expiry that is still to come is kept, and one "
    "that "
    "is past becomes now and default_expiry_days of db.yaml. Should libvirt refuse to start it, it stays "
    "suspended.";

} // namespace

cli::Row resume_row() {
    return {
        .verb = "resume",
        .contract_name = "blockhost-vm-resume",
        .summary = "let a suspended VM run again",
        .details = details,
        .operands = {vm_operand(cli::Operand::Fits::suspended)},
        .options = {{.name = "extend-days",
                     .kind = cli::Option::Kind::integer,
                     .value = "N",
                     .min = limits::expiry_days_min,
                     .max = limits::expiry_days_max,
                     .help = "let it expire in so many days from now"},
                    {.name = "dry-run", .help = "only show what would be done"}},
        .output = {.text = "two lines: when the VM expires, and that it runs again",
                   .unheard = "the VM is resumed all the same, and its days are counted once: a repeat is "
                              "refused, since it is active"},
        .examples = {{"web-001", "let it run again"},
                     {"web-001 --extend-days 30 --dry-run", "show when it would expire"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .run = run,
    };
}

} // namespace blockhost::subcommands
