// SPDX-License-Identifier: MIT
/// agent: checks of what the host agent works with.

#include "agent/selftest.hpp"
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

int run(cli::Call& call) {
    const auto platform = open_platform(call);
    const auto checks = agent::selftest_read(*platform);
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, checks);
    call.printer.flush_answer();
    return std::ranges::any_of(checks, [](auto& each) { return each.verdict == Check::Verdict::bad; });
}

constexpr std::string_view details =
    "--selftest looks at the platform that agent.json names: whether it answers, its clock and certificate, "
    "the privileges of the API token, and each guest. Nothing is changed.";

} // namespace

cli::Row agent_row() {
    return {
        .verb = "agent",
        .summary = "check what the host agent works with",
        .details = details,
        .options = {{.name = "selftest",
                     .kind = cli::Option::Kind::choice,
                     .value = "PART",
                     .help = "read: look, and change nothing",
                     .choices = {"read"},
                     .presence = cli::Option::Presence::required,
                     .implicit = "read"},
                    {.name = "json", .help = "print a JSON list"}},
        .output = {.text = "a line for each check: its verdict (good, doubtful or bad), and what to do",
                   .json_keys = {"check", "verdict", "told", "remedy"},
                   .json_call = "--json"},
        .examples = {{"--selftest", "after agent.json was written"}, {"--selftest --json", "for a program"}},
        .needs = cli::Needs::config,
        .exit_1 = "a check is bad",
        .run = run};
}

} // namespace blockhost::subcommands
