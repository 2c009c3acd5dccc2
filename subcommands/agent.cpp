// SPDX-License-Identifier: MIT
/// agent: the host agent as a service; checks of what it works with, and of what it has on record.

#include "agent/record.hpp"
#include "agent/selftest_task.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/agent_service.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

using agent::Check;

void print_json(cli::Printer& printer, const std::vector<Check>& checks) {
    boost::json::array all;
    for (const Check& check : checks)
        all.push_back(boost::json::object{{"check", check.name},
                                          {"verdict", to_string(check.verdict)},
                                          {"told", check.told},
                                          {"remedy", check.remedy}});
    printer.answer(json::python_line(all));
}

void print_lines(cli::Printer& printer, const std::vector<Check>& checks) {
    std::size_t width = 0;
    for (const Check& check : checks) width = std::max(width, check.name.size());
    for (const Check& check : checks)
        printer.answer(fmt::format("{:<8}  {:<{}}  {}", to_string(check.verdict), check.name, width,
                                   text::printable(check.told)) +
                       (check.remedy.empty() ? "" : "; " + text::printable(check.remedy)));
}

std::vector<Check> look(const cli::Call& call) {
    return agent::selftest_read(*open_platform(call));
}

std::vector<Check> try_on(cli::Call& call, const std::string& guest) {
    agent::Engine engine = open_engine(call);
    return agent::selftest_task(
        engine, guest, [&](std::string_view stage) { call.printer.stage(stage); },
        [] { Interruption().check(); });
}

int selftest(cli::Call& call) {
    const auto guest = call.arguments.text("guest");
    const auto part = call.arguments.text("selftest");
    const bool task = part == "task";
    if (task != guest.has_value())
        throw Error(Code::usage,
                    task ? "--selftest=task needs --guest: the guest that is changed and rolled back"
                         : "--guest is for --selftest=task alone");
    const auto checks = guest ? try_on(call, *guest) : part == "hub" ? try_hub(call) : look(call);
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, checks);
    call.printer.flush_answer();
    return std::ranges::any_of(checks, [](auto& each) { return each.verdict == Check::Verdict::bad; });
}

int audit(cli::Call& call) {
    if (!call.arguments.has("verify"))
        throw Error(Code::usage, "agent audit needs --verify", "'agent audit --verify' checks the record");
    require_agents_user(call);
    const auto known = call.arguments.text("known");
    const auto check =
        agent::check_record(call.paths, known ? std::optional(agent::parse_head(*known)) : std::nullopt);
    if (!check)
        throw Error(Code::not_found, "there is no audit record yet",
                    "one is begun with the first operation or approval");
    const std::string head = check->head.line > 0 ? agent::to_text(check->head) : "";
    const bool is_whole = check->broken_line == 0;
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(boost::json::object{{"whole", is_whole},
                                                                  {"lines", check->head.line},
                                                                  {"head", head},
                                                                  {"broken_line", check->broken_line},
                                                                  {"why", check->why}}));
    else if (is_whole)
        call.printer.answer(fmt::format("The record holds together: {} lines, the head is {}",
                                        check->head.line, head.empty() ? "none" : head),
                            cli::Tone::good);
    else
        call.printer.answer(
            fmt::format("The record is broken at line {}: {}; {} lines before it hold together",
                        check->broken_line, check->why, std::min(check->head.line, check->broken_line - 1)),
            cli::Tone::bad);
    call.printer.flush_answer();
    return is_whole ? 0 : 1;
}

int start_over(cli::Call& call) {
    agent::Engine engine = open_engine(call);
    call.printer.say(fmt::format(
        "Every envelope that was made until now becomes void, and what waits for a signature ends: it has to "
        "be asked for anew. The time is what the clock says, {}. What the record says of used nonces stays.",
        format_instant(std::chrono::floor<std::chrono::seconds>(now()))));
    if (!call.arguments.has("yes") && !call.printer.confirm("Start over?", "give --yes to start over"))
        throw Error(Code::interrupted, "nothing is changed");
    engine.start_over("uid " + std::to_string(::getuid()));
    call.printer.answer("Started over, and on record.");
    call.printer.flush_answer();
    return 0;
}

/// Each option goes with one part alone.
void require_options_of(const cli::Call& call, std::string_view part) {
    struct Row {
        std::string_view option, part;
    };
    static constexpr Row table[]{{"selftest", ""},     {"guest", ""},       {"once", ""},
                                 {"print-config", ""}, {"verify", "audit"}, {"known", "audit"},
                                 {"yes", "start-over"}};
    for (const Row& row : table)
        if (call.arguments.has(row.option) && row.part != part)
            throw Error(Code::usage,
                        fmt::format("--{} does not go with {}", row.option,
                                    part.empty() ? "the agent itself" : "agent " + std::string(part)));
    if (call.arguments.has("selftest") + call.arguments.has("once") + call.arguments.has("print-config") > 1)
        throw Error(Code::usage, "--selftest, --once and --print-config do not go with each other");
    if (call.arguments.has("guest") && !call.arguments.has("selftest"))
        throw Error(Code::usage, "--guest is for --selftest=task alone");
}

/// The agent itself.
int serve(cli::Call& call) {
    if (call.arguments.has("selftest")) return selftest(call);
    if (call.arguments.has("print-config")) return print_config(call);
    return call.arguments.has("once") ? run_once(call) : run_service(call);
}

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string part = operands.empty() ? "" : operands.front();
    if ((part == "check") != (operands.size() > 1))
        throw Error(Code::usage,
                    part == "check" ? "agent check needs a file" : "a file goes with agent check alone");
    require_options_of(call, part);
    if (part == "audit") return audit(call);
    if (part == "check") return check_config(call, operands[1]);
    return part.empty() ? serve(call) : start_over(call);
}

constexpr std::string_view details =
    "Without an operand, the agent itself: it asks its hub what is wanted, carries out what loses nothing, "
    "waits for operators' signatures for all else, and reports, until a signal ends it. agent.json says "
    "where "
    "the hub is, a folder or a server (docs/hub.md). SIGHUP has it read agent.json anew and ask at once. "
    "--once makes one whole turn. --print-config prints each value that holds and where it comes from; check "
    "FILE says what is wrong with an agent.json.\n\n"
    "--selftest looks at the platform that agent.json names: whether it answers, its clock and certificate, "
    "the privileges of the API token, and each guest. Nothing is changed.\n\n"
    "--selftest=task tries what changes guests on one that is there for it, with the tag blockhost-selftest: "
    "it changes description and tags, takes a snapshot, rolls back to it, deletes it, and gives back what "
    "was changed. What the guest wrote meanwhile is lost. Each is an operation, which 'operations' tells "
    "of. --selftest=hub sends a report and reads the answer.\n\n"
    "audit --verify checks the record of decisions and ends: each line, that each holds the hash of the line "
    "before it, and that no line is gone that this host's database has seen; with --known, that the line of "
    "that head is in it, which somebody keeps elsewhere. The keys with --json are whole, lines, head, "
    "broken_line and why.\n\n"
    "start-over is for an operator who has to go on without the used nonces or the record (they are lost, or "
    "of an older copy), or after a clock that was wrong: until then no signature is taken. What was signed "
    "before is void from then on, and the record says who did it.";

} // namespace

cli::Row agent_row() {
    return {
        .verb = "agent",
        .summary = "run the host agent; check what it works with, and its record",
        .details = details,
        .operands =
            {{.name = "PART",
              .help = "audit: the record of decisions; start-over: go on without what this host knew; "
                      "check: look at a configuration",
              .count = cli::Operand::Count::optional,
              .choices = {"audit", "start-over", "check"}},
             {.name = "FILE", .help = "with check: an agent.json", .count = cli::Operand::Count::optional}},
        .options = {{.name = "selftest",
                     .kind = cli::Option::Kind::choice,
                     .value = "PART",
                     .help =
                         "read: look, and change nothing; task: try changes on --guest; hub: send a report",
                     .choices = {"read", "task", "hub"},
                     .implicit = "read"},
                    {.name = "once", .help = "make one whole turn, and end"},
                    {.name = "print-config", .help = "print the configuration and where it comes from"},
                    {.name = "guest",
                     .kind = cli::Option::Kind::text,
                     .value = "ID",
                     .help = "the guest for --selftest=task; it has the tag blockhost-selftest"},
                    {.name = "verify", .help = "with audit: check the whole record"},
                    {.name = "known",
                     .kind = cli::Option::Kind::text,
                     .value = "LINE:HASH",
                     .help = "with audit: a head of the record that is known from elsewhere"},
                    {.name = "yes", .help = "with start-over: do not ask"},
                    {.name = "json", .help = "print a JSON list; of audit, an object"}},
        .output =
            {.text = "a line for each check: its verdict (good, doubtful or bad), and what to do; of --once, "
                     "check, audit and start-over, one line; --print-config prints JSON",
             .json_keys = {"check", "verdict", "told", "remedy"},
             .json_call = "--json",
             .unheard = "what was tried was tried, and 'operations' tells of it; who started over has "
                        "started over; a repeat does it again"},
        .examples = {{"", "what blockhost-agent.service runs"},
                     {"--once", "one turn, from a timer of your own"},
                     {"check agent.json", "before it is installed"},
                     {"--selftest", "after agent.json was written"},
                     {"--selftest --json", "for a program"},
                     {"--selftest=task --guest 999", "try changes and a rollback on a guest made for that"},
                     {"audit --verify", "whether the record is whole"},
                     {"start-over", "go on after the used nonces were lost"}},
        .needs = cli::Needs::config,
        .effect = cli::Effect::changes,
        .exit_1 = "a check is bad, the record is broken, or with --once the hub was not reached or something "
                  "could not be done",
        .run = run};
}

} // namespace blockhost::subcommands
