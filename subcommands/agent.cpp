// SPDX-License-Identifier: MIT
/// agent: checks of what the host agent works with.

#include "agent/selftest_task.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>

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

int run(cli::Call& call) {
    const auto guest = call.arguments.text("guest");
    const bool task = call.arguments.text("selftest") == "task";
    if (task != guest.has_value())
        throw Error(Code::usage,
                    task ? "--selftest=task needs --guest: the guest that is changed and rolled back"
                         : "--guest is for --selftest=task alone");
    const auto checks = guest ? try_on(call, *guest) : look(call);
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, checks);
    call.printer.flush_answer();
    return std::ranges::any_of(checks, [](auto& each) { return each.verdict == Check::Verdict::bad; });
}

constexpr std::string_view details =
    "--selftest looks at the platform that agent.json names: whether it answers, its clock and certificate, "
    "the privileges of the API token, and each guest. Nothing is changed.\n\n"
    "--selftest=task tries what changes guests on one that is there for it, with the tag blockhost-selftest: "
    "it changes description and tags, takes a snapshot, rolls back to it, deletes it, and gives back what "
    "was "
    "changed. What the guest wrote meanwhile is lost. Each is an operation, which 'operations' tells of.";

} // namespace

cli::Row agent_row() {
    return {
        .verb = "agent",
        .summary = "check what the host agent works with",
        .details = details,
        .options = {{.name = "selftest",
                     .kind = cli::Option::Kind::choice,
                     .value = "PART",
                     .help = "read: look, and change nothing; task: try changes on --guest",
                     .choices = {"read", "task"},
                     .presence = cli::Option::Presence::required,
                     .implicit = "read"},
                    {.name = "guest",
                     .kind = cli::Option::Kind::text,
                     .value = "ID",
                     .help = "the guest for --selftest=task; it has the tag blockhost-selftest"},
                    {.name = "json", .help = "print a JSON list"}},
        .output = {.text = "a line for each check: its verdict (good, doubtful or bad), and what to do",
                   .json_keys = {"check", "verdict", "told", "remedy"},
                   .json_call = "--json",
                   .unheard =
                       "what was tried was tried, and 'operations' tells of it; a repeat tries it again"},
        .examples = {{"--selftest", "after agent.json was written"},
                     {"--selftest --json", "for a program"},
                     {"--selftest=task --guest 999", "try changes and a rollback on a guest made for that"}},
        .needs = cli::Needs::config,
        .effect = cli::Effect::changes,
        .exit_1 = "a check is bad",
        .run = run};
}

} // namespace blockhost::subcommands
