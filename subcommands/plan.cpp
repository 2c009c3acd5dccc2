// SPDX-License-Identifier: MIT
/// plan: the difference between a desired state and this host.

#include "agent/accepted.hpp"
#include "agent/apply.hpp"
#include "agent/database.hpp"
#include "agent/dump.hpp"
#include "base/files/given_file.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/plan_text.hpp"
#include "subcommands/platform_verbs.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

using agent::Plan;
using agent::PlannedAction;
using cli::Tone;
using Verdict = PlannedAction::Verdict;

} // namespace

agent::Desired read_desired(cli::Call& call, const std::string& file, const agent::Known& known) {
    // One byte more than is allowed, so that what is too long is told by its place like all else.
    const auto text = files::read_given(file, agent::bounds::document_bytes + 1);
    if (!text)
        throw Error(Code::not_found, "there is no file " + text::printable(file),
                    "name a desired state, as dump-desired writes one");
    agent::Desired desired = agent::parse_desired(*text, text::printable(file), known);
    for (const std::string& warning : desired.warnings) call.printer.warn(warning);
    return desired;
}

namespace {

std::string shown(const std::string& value) {
    constexpr std::size_t longest = 60;
    return value.empty() ? "nothing" : text::printable(value, longest);
}

Tone tone_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::benign:
        return Tone::good;
    case Verdict::needs_signature:
        return Tone::warning;
    case Verdict::impossible:
        break;
    }
    return Tone::bad;
}

void print_action(cli::Printer& printer, const PlannedAction& planned) {
    const std::string_view action = planned.action ? agent::name_of(planned) : "no action";
    std::string line = fmt::format("  {}: {}", action, text::printable(planned.reason));
    if (planned.verdict == Verdict::needs_signature) line += "; needs a signature: " + planned.why;
    if (planned.verdict == Verdict::impossible) line += "; cannot be: " + text::printable(planned.why);
    if (!planned.lock.empty()) line += "; waits: it is locked for " + text::printable(planned.lock);
    printer.answer(line, tone_of(planned.verdict));
    for (const agent::Change& each : planned.changes)
        printer.answer(fmt::format("      {}: {} -> {}", each.field, shown(each.from), shown(each.to)));
}

std::string count(std::size_t number, std::string_view one, std::string_view many) {
    return std::to_string(number) + " " + std::string(number == 1 ? one : many);
}

void print_sum(cli::Printer& printer, const Plan& plan) {
    if (plan.is_converged()) return printer.answer("Nothing is to be done.", Tone::good);
    std::string sum = count(plan.actions.size(), "action", "actions") + ": " +
                      std::to_string(plan.count(Verdict::benign)) + " benign, " +
                      count(plan.count(Verdict::needs_signature), "needs", "need") + " a signature, " +
                      std::to_string(plan.count(Verdict::impossible)) + " cannot be";
    if (!plan.unknown.empty())
        sum += "; " + count(plan.unknown.size(), "guest is", "guests are") + " not known";
    printer.answer(sum);
}

} // namespace

void print_plan(cli::Printer& printer, const Plan& plan) {
    const std::string* guest = nullptr;
    for (const PlannedAction& planned : plan.actions) {
        if (guest == nullptr || *guest != planned.target.guest) printer.answer(planned.target.guest);
        guest = &planned.target.guest;
        print_action(printer, planned);
    }
    for (const agent::Remark& each : plan.unknown)
        printer.answer(each.guest + " is not known: " + text::printable(each.what), Tone::bad);
    for (const agent::Remark& each : plan.notes)
        printer.answer("note: " + each.guest + ": " + text::printable(each.what), Tone::faint);
    print_sum(printer, plan);
}

Plan plan_for(cli::Call& call, platform::Platform& platform, const agent::Desired& desired) {
    const platform::Host host = platform.host();
    call.printer.stage("looking at " + host.name);
    Plan plan = agent::look_and_plan(platform, host, desired, [&](std::size_t done, std::size_t all) {
                    call.printer.detail(std::to_string(done) + " of " + count(all, "guest", "guests"));
                }).plan;
    if (!plan.doubt.empty()) call.printer.warn("more guests may exist: " + plan.doubt);
    return plan;
}

namespace {

/// What apply accepted, as far as the caller may know that.
agent::Known accepted_so_far(const cli::Call& call) {
    try {
        auto database = agent::existing_database(call.paths);
        return database ? agent::Accepted(std::move(*database)).known() : agent::Known{};
    } catch (const Error& error) {
        if (error.code() != Code::denied && !(error.code() == Code::io && geteuid() != 0)) throw;
        call.printer.warn("which desired state was accepted last is root's to know: " + error.message());
        return {};
    }
}

int run(cli::Call& call) {
    const agent::Desired desired =
        read_desired(call, call.arguments.operands().front(), accepted_so_far(call));
    const Plan plan = plan_for(call, *open_platform(call), desired);
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(agent::as_json(plan)));
    else
        print_plan(call.printer, plan);
    call.printer.flush_answer();
    return plan.is_converged() ? 0 : 2;
}

constexpr std::string_view details =
    "FILE is a desired state: a JSON document that says what guests of this "
    "host should be like. What it does "
    "not say is not touched: guests that it does not name, fields that it "
    "leaves out. dump-desired writes one to "
    "begin with. Nothing is changed.\n\n"
    "Each action is benign, or needs an operator's signature because it can "
    "lose data, or cannot be, and why. "
    "Configurations are compared as they will be at the guest's next start; "
    "a note tells what waits for that. "
    "Nothing is planned for a guest that cannot be read, and none is "
    "created while guests may be hidden. What "
    "follows a create is planned once the guest is there, by 'apply' itself.\n\n"
    "A wrong document is refused with file, line and column; keys that are "
    "not known are ignored with a warning. One of a lower generation than "
    "'apply' accepted is refused, too.";

} // namespace

cli::Row plan_row() {
    return {.verb = "plan",
            .summary = "show what would make guests as a desired state wants them",
            .details = details,
            .operands = {{.name = "FILE", .help = "the desired state; /dev/stdin for what is piped in"}},
            .options = {{.name = "json", .help = "print one JSON document"}},
            .output = {.text = "for each guest the actions, with what changes and whether that may be; a sum",
                       .json_keys = {"host", "generation", "converged", "actions", "unknown", "notes",
                                     "doubt", "desired_digest"},
                       .json_call = "--json"},
            .examples = {{"desired.json", "look before anything is done"},
                         {"desired.json --json", "for a program"}},
            .needs = cli::Needs::config,
            .usage_status = 1,
            .exit = cli::Row::Exit::contract,
            .exit_2 = "something is to be done, or a guest is not known",
            .run = run};
}

} // namespace blockhost::subcommands
