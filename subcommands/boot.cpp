// SPDX-License-Identifier: MIT
/// boot: starts the VMs that should run, after the host has started.

#include "expiry/boot.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>

namespace blockhost::subcommands {

namespace {

using namespace std::chrono_literals;

constexpr auto libvirt_patience = 60s;

int run(cli::Call& call) {
    World world = open_world(call, Intent::change);
    const auto told = [&](const expiry::BootItem& item) {
        call.printer.answer(item.name.str() + ": " + std::string(to_string(item.end)) +
                            (item.detail.empty() ? "" : ": " + item.detail));
        call.printer.flush_answer();
    };
    const expiry::BootManner manner =
        call.arguments.has("again") ? expiry::BootManner::again : expiry::BootManner::once;
    const auto items = expiry::boot(world, manner, jobs(call), libvirt_patience, told);
    if (items.empty()) call.printer.answer("Nothing to do");
    call.printer.flush_answer();
    return std::any_of(items.begin(), items.end(),
                       [](const expiry::BootItem& item) { return item.end == expiry::BootItem::End::failed; })
               ? 1
               : 0;
}

constexpr std::string_view details = "Starts every VM whose record is active and whose domain is off, and "
                                     "sets the routes and neighbour entries of "
                                     "those that run. A VM that an admin stopped or killed stays off until "
                                     "it is started. Each VM is seen to once "
                                     "in a run of the host; one that failed is tried again by the next call.";

} // namespace

cli::Row boot_row() {
    return {
        .verb = "boot",
        .summary = "start the VMs that should run, after the host has started",
        .details = details,
        .options = {jobs_option(), {.name = "again", .help = "also those that were seen to already"}},
        .output = {.text = "one line for each VM: its name and what became of it, or 'Nothing to do'",
                   .unheard = "every VM is seen to all the same; a repeat finds it running"},
        .examples = {{"", "start what should run; the unit does this after a reboot"},
                     {"--again --jobs 8", "see to every VM once more, eight at a time"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit_1 = "a VM could not be started or looked at; its line says why",
        .run = run,
    };
}

} // namespace blockhost::subcommands
