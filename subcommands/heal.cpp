// SPDX-License-Identifier: MIT
/// heal: starts guests again that should run and crashed.

#include "agent/heal.hpp"
#include "agent/carry_out.hpp"
#include "base/interrupt.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/operation_text.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using agent::Healer;
using agent::Tended;
using execution::Operation;
using execution::State;
using Stand = Tended::Stand;

/// What a whole call found and did.
struct Healed {
    std::vector<Tended> guests;
    std::vector<Operation> starts; ///< as they stand at the end
};

const Operation* start_of(const Healed& healed, const Tended& guest) {
    const auto found = std::ranges::find(healed.starts, guest.operation, &Operation::id);
    return guest.operation.empty() || found == healed.starts.end() ? nullptr : &*found;
}

/// Lets what a dead process left come to its end: it would keep its guest from being healed. What takes long
/// goes on without this process.
void finish_what_was_left(agent::Engine& engine) {
    constexpr std::chrono::seconds longest(20);
    const auto is_open = [](const Operation& each) { return each.state != State::waiting; };
    if (std::ranges::none_of(engine.journal().open(), is_open)) return;
    const Deadline over = Deadline::in(longest);
    try {
        engine.work([&] { return is_asked_to_end() || over.passed(); });
    } catch (const Error& error) {
        if (error.code() != Code::busy) throw; // another process is at it
    }
}

/// A guest that is off for the first time is looked at again once it was off for long enough.
std::optional<Instant> next_look(const std::vector<Tended>& guests, const execution::HealingRules& rules) {
    std::optional<Instant> next;
    for (const Tended& each : guests)
        if (each.due && *each.due <= now() + rules.off_for && (!next || *each.due < *next)) next = each.due;
    return next;
}

void wait_until(Instant due) {
    const auto span = std::chrono::ceil<std::chrono::milliseconds>(due - now());
    if (span.count() > 0) pause_for(span, [] { Interruption().check(); });
}

std::vector<Tended> tend(Healer& healer, const std::vector<std::string>& only,
                         const execution::HealingRules& rules) {
    auto guests = healer.round(only, Healer::Manner::act, now());
    const auto next = next_look(guests, rules);
    // What is to be started does not wait for others; the timer's next call looks after them.
    if (!next || std::ranges::any_of(guests, [](const Tended& each) { return each.stand == Stand::starts; }))
        return guests;
    wait_until(*next);
    return healer.round(only, Healer::Manner::act, now());
}

Healed heal(cli::Call& call, agent::Engine& engine) {
    const auto rules = agent::healing_rules_of(call.paths);
    Healer healer(engine, call.paths, rules);
    const auto& only = call.arguments.operands();
    if (call.arguments.has("dry-run")) return {healer.round(only, Healer::Manner::look, now()), {}};
    finish_what_was_left(engine);
    Healed healed{tend(healer, only, rules), {}};
    std::vector<execution::Id> starts;
    for (const Tended& each : healed.guests)
        if (!each.operation.empty()) starts.push_back(each.operation);
    if (starts.empty()) return healed;
    healed.starts = agent::carry_out(engine, starts, is_asked_to_end, [&](const Operation& operation) {
        if (operation.state == State::begun)
            call.printer.stage("starting " + text::printable(operation.target.guest));
    });
    return healed;
}

/// What became of a start, behind why it was made.
std::string end_of(const Operation& start) {
    if (start.state == State::done) return "started";
    const std::string why = start.error ? start.error->what() : start.detail;
    return fmt::format("its start is {}{}", to_string(start.state),
                       why.empty() ? "" : ": " + text::printable(why));
}

void print_json(cli::Printer& printer, const Healed& healed) {
    boost::json::array all;
    for (const Tended& each : healed.guests) {
        const Operation* start = start_of(healed, each);
        all.push_back(boost::json::object{
            {"guest", each.target.guest},
            {"incarnation", each.target.incarnation},
            {"stand", to_string(each.stand)},
            {"wanted", each.is_wanted},
            {"why", each.why},
            {"due", each.due ? boost::json::value(format_instant(*each.due)) : boost::json::value(nullptr)},
            {"operation", each.operation},
            {"state", start != nullptr ? to_string(start->state) : std::string_view()}});
    }
    printer.answer(json::python_line(all));
}

/// A timer's call says what it did and what is new; a mere look says how each guest stands that does not run.
void print_lines(cli::Printer& printer, const Healed& healed, bool is_look) {
    bool nothing = true;
    for (const Tended& each : healed.guests) {
        const Operation* start = start_of(healed, each);
        const bool is_told =
            is_look ? each.stand != Stand::runs
                    : start != nullptr || each.is_news || (each.stand == Stand::unknown && each.is_wanted);
        if (!is_told) continue;
        nothing = false;
        const bool is_good = start != nullptr && start->state == State::done;
        std::string line = text::printable(each.target.guest) + ": ";
        if (each.stand != Stand::starts) line += std::string(to_string(each.stand)) + ": ";
        line += text::printable(each.why);
        if (start != nullptr) line += "; " + end_of(*start);
        printer.answer(line, is_good ? cli::Tone::good : is_look ? cli::Tone::warning : cli::Tone::bad);
    }
    if (nothing) printer.answer(is_look ? "Every guest runs." : "Nothing is to be healed.");
}

bool is_well(const Healed& healed, const Tended& each) {
    if (each.stand == Stand::unknown) return !each.is_wanted;
    if (each.is_news) return false;
    const Operation* start = start_of(healed, each);
    // Rejected: somebody wanted it otherwise meanwhile.
    return start == nullptr || start->state == State::done || start->state == State::rejected;
}

int run(cli::Call& call) {
    agent::Engine engine = open_engine(call);
    const Healed healed = heal(call, engine);
    if (call.arguments.has("json"))
        print_json(call.printer, healed);
    else
        print_lines(call.printer, healed, call.arguments.has("dry-run"));
    end_if_asked_to(call.printer, healed.starts);
    call.printer.flush_answer();
    return std::ranges::all_of(healed.guests, [&](const Tended& each) { return is_well(healed, each); }) ? 0
                                                                                                         : 1;
}

constexpr std::string_view details =
    "A guest should run when the desired state that was accepted last wants it on; under libvirt also one "
    "whose "
    "record is active, unless the desired state says otherwise. When such a guest crashed, it is started: "
    "after "
    "it was off for 10 s, then at growing distances, at most 5 times in a row. Then it is reported once, and "
    "left "
    "to a person. What is remembered of that outlives this call.\n\n"
    "Left alone is what an operator stopped (by a verb, by virsh, by a task of a Proxmox node), what was "
    "shut "
    "down from inside as far as the platform can tell, what is suspended, locked or being worked on, what "
    "could "
    "not be read, and what nobody knows why it is off. --dry-run says which of these holds. On a Proxmox "
    "node a "
    "shutdown from inside looks like a crash.\n\n"
    "A timer calls this each minute. Each start is an operation, which 'operations' tells of.";

} // namespace

cli::Row heal_row() {
    return {.verb = "heal",
            .summary = "start guests again that should run and crashed",
            .details = details,
            .operands = {{.name = "GUEST",
                          .help = "that guest alone, by its id",
                          .count = cli::Operand::Count::optional}},
            .options = {{.name = "dry-run", .help = "only say how each guest stands that does not run"},
                        {.name = "json", .help = "print a JSON list of all guests"}},
            .output = {.text = "a line for each guest that was started or is given up, with the reason",
                       .json_keys = {"guest", "incarnation", "stand", "wanted", "why", "due", "operation",
                                     "state"},
                       .json_call = "--json",
                       .unheard = "what crashed is started all the same; a repeat finds it running"},
            .examples = {{"", "what the timer does"},
                         {"--dry-run", "why guests are off, and what would be done"},
                         {"web-001 --json", "one guest, for a program"}},
            .needs = cli::Needs::config,
            .effect = cli::Effect::changes,
            .exit_1 = "a guest could not be started, was given up in this call, or could not be read",
            .run = run};
}

} // namespace blockhost::subcommands
