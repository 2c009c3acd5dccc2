// SPDX-License-Identifier: MIT
/// apply: guests become as a desired state wants them.

#include "agent/apply.hpp"
#include "agent/carry_out.hpp"
#include "agent/dump.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/operation_text.hpp"
#include "subcommands/plan_text.hpp"
#include "subcommands/platform_verbs.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using agent::Plan;
using agent::PlannedAction;
using execution::Operation;
using execution::State;

/// Shows the plan and asks. Throws Error{usage} where nobody can be asked.
bool is_wanted(cli::Printer& printer, const Plan& plan) {
    print_plan(printer, plan);
    printer.flush_answer();
    return printer.confirm("Carry this out?", "give --yes to carry it out");
}

/// One guest's part of the plan, or all of it.
Plan part_of(Plan plan, const std::string& only) {
    if (only.empty()) return plan;
    std::erase_if(plan.actions, [&](const PlannedAction& each) { return each.target.guest != only; });
    std::erase_if(plan.unknown, [&](const agent::Remark& each) { return each.guest != only; });
    std::erase_if(plan.notes, [&](const agent::Remark& each) { return each.guest != only; });
    return plan;
}

int run(cli::Call& call) {
    agent::Engine engine = open_engine(call);
    agent::Accepted& accepted = engine.accepted();
    const agent::Desired desired = read_desired(call, call.arguments.operands().front(), accepted.known());
    const std::string only = call.arguments.text("only").value_or("");
    if (!only.empty() &&
        std::ranges::find(desired.guests, only, &agent::WantedGuest::id) == desired.guests.end())
        throw Error(Code::not_found, "the desired state does not name " + text::printable(only));
    const auto plan_now = [&] { return part_of(plan_for(call, engine.platform(), desired), only); };
    Plan plan = plan_now();
    if (!plan.actions.empty() && !call.arguments.has("yes")) {
        if (!is_wanted(call.printer, plan)) throw Error(Code::interrupted, "nothing is changed");
        const auto shown = agent::as_json(plan);
        plan = plan_now();
        if (agent::as_json(plan) != shown)
            throw Error(Code::busy, "the guests changed since the plan was shown",
                        "look at it again; nothing is changed");
    }
    accepted.accept(desired);
    const agent::Asked asked = agent::ask_for(engine, plan);
    const auto all =
        agent::carry_out(engine, asked.operations, is_asked_to_end,
                         [&](const Operation& operation) { tell_operation(call.printer, operation); });
    end_if_asked_to(call.printer, all);
    for (const agent::Remark& each : plan.unknown)
        call.printer.answer(each.guest + " is not known: " + text::printable(each.what), cli::Tone::bad);
    for (const agent::Remark& each : asked.left)
        call.printer.answer(each.guest + ": " + text::printable(each.what), cli::Tone::warning);
    if (plan.is_converged()) call.printer.answer("Nothing is to be done.", cli::Tone::good);
    call.printer.flush_answer();
    if (std::ranges::any_of(
            all, [](const Operation& each) { return is_end(each.state) && each.state != State::done; }))
        return 1;
    const bool is_whole =
        plan.unknown.empty() && asked.left.empty() &&
        std::ranges::all_of(all, [](const Operation& each) { return each.state == State::done; });
    return is_whole ? 0 : 2;
}

constexpr std::string_view details = "Plans as 'plan' does, shows that, asks, and carries out what loses "
                                     "nothing: one guest's actions in their order, "
                                     "several guests at the same time. What can lose data waits for a "
                                     "signature ('pending', 'approve'), whoever calls "
                                     "this. Each action is an operation, which 'operations' tells of and "
                                     "which is found again after a crash. When the "
                                     "guests changed while the question stood, nothing is done.\n\n"
                                     "The document's generation is accepted: a lower one is refused from "
                                     "then on, and so is the same one with another "
                                     "content.";

} // namespace

cli::Row apply_row() {
    return {.verb = "apply",
            .summary = "make guests as a desired state wants them",
            .details = details,
            .operands = {{.name = "FILE", .help = "the desired state; /dev/stdin for what is piped in"}},
            .options = {{.name = "only",
                         .kind = cli::Option::Kind::text,
                         .value = "GUEST",
                         .help = "that guest alone"},
                        {.name = "yes", .help = "do not ask"}},
            .output =
                {.text = "the plan, unless --yes; then a line for each action that ended or waits",
                 .unheard =
                     "what was carried out stays, and 'operations' tells of it; a repeat does what is left"},
            .examples = {{"desired.json", "look, answer yes, and watch"},
                         {"desired.json --only web-001 --yes", "one guest, from a script"}},
            .needs = cli::Needs::config,
            .effect = cli::Effect::changes,
            .usage_status = 1,
            .exit = cli::Row::Exit::contract,
            .exit_2 = "something waits for a signature, could not be done, or is not known",
            .run = run};
}

} // namespace blockhost::subcommands
