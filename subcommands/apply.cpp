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
#include <set>

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

/// What came of a plan.
struct Applied {
    std::vector<Operation> operations;
    std::vector<agent::Remark> left, unknown;
};

/// Carries a plan out. Guests that it makes are looked at again: what they lack still is done, too, as long
/// as it loses nothing.
class Applying {
  public:
    Applying(cli::Call& call, agent::Engine& engine, const agent::Desired& desired)
        : call_(call), engine_(engine), desired_(desired) {}

    Applied apply(const Plan& plan) {
        constexpr int most_rounds = 4;
        applied_.unknown = plan.unknown;
        std::set<platform::GuestId> followed = carry_out_round(plan, true);
        for (int round = 1; !followed.empty(); ++round) {
            Plan next = plan_for(call_, engine_.platform(), desired_);
            const auto is_other = [&](const auto& guest) { return !followed.contains(guest); };
            std::erase_if(next.actions, [&](const auto& each) { return is_other(each.target.guest); });
            for (const agent::Remark& each : next.unknown)
                if (!is_other(each.guest)) applied_.unknown.push_back(each);
            if (next.actions.empty()) break;
            if (round == most_rounds) {
                for (const PlannedAction& each : next.actions)
                    applied_.left.push_back({each.target.guest, "it is still not as it is wanted"});
                break;
            }
            followed = carry_out_round(next, false);
        }
        return std::move(applied_);
    }

  private:
    /// Those whose actions are all done, in the first round only those that were made: more may be left.
    std::set<platform::GuestId> carry_out_round(const Plan& plan, bool is_first) {
        const agent::Asked asked = agent::ask_for(engine_, plan);
        std::set<platform::GuestId> done, not_done;
        auto all =
            agent::carry_out(engine_, asked.operations, is_asked_to_end, [this](const Operation& operation) {
                tell_operation(call_.printer, operation);
            });
        end_if_asked_to(call_.printer, all);
        for (Operation& each : all) {
            const bool is_made = std::holds_alternative<platform::Create>(each.action);
            if (each.state != State::done)
                not_done.insert(each.target.guest);
            else if (is_made || !is_first)
                done.insert(each.target.guest);
            applied_.operations.push_back(std::move(each));
        }
        for (const platform::GuestId& each : not_done) done.erase(each);
        applied_.left.insert(applied_.left.end(), asked.left.begin(), asked.left.end());
        return done;
    }

    cli::Call& call_;
    agent::Engine& engine_;
    const agent::Desired& desired_;
    Applied applied_;
};

/// The exit status.
int tell_end(cli::Call& call, const Plan& plan, const Applied& applied) {
    for (const agent::Remark& each : applied.unknown)
        call.printer.answer(each.guest + " is not known: " + text::printable(each.what), cli::Tone::bad);
    for (const agent::Remark& each : applied.left)
        call.printer.answer(each.guest + ": " + text::printable(each.what), cli::Tone::warning);
    if (plan.is_converged()) call.printer.answer("Nothing is to be done.", cli::Tone::good);
    call.printer.flush_answer();
    const auto& all = applied.operations;
    if (std::ranges::any_of(
            all, [](const Operation& each) { return is_end(each.state) && each.state != State::done; }))
        return 1;
    const bool is_whole =
        applied.unknown.empty() && applied.left.empty() &&
        std::ranges::all_of(all, [](const Operation& each) { return each.state == State::done; });
    return is_whole ? 0 : 2;
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
    return tell_end(call, plan, Applying(call, engine, desired).apply(plan));
}

constexpr std::string_view details = "Plans as 'plan' does, shows that, asks, and carries out what loses "
                                     "nothing: one guest's actions in their order, "
                                     "several guests at the same time. What can lose data waits for a "
                                     "signature ('pending', 'approve'), whoever calls "
                                     "this. A guest that is made is looked at again, and gets what it lacks "
                                     "still. Each action is an operation, which 'operations' tells of and "
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
