// SPDX-License-Identifier: MIT
/// task: how an action of the platform stands.

#include "base/interrupt.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>

namespace blockhost::subcommands {

namespace {

using platform::ActionState;
using Phase = ActionState::Phase;

std::string_view word_for(Phase phase) {
    switch (phase) {
    case Phase::waiting:
        return "waiting";
    case Phase::running:
        return "running";
    case Phase::done:
        return "done";
    case Phase::failed:
        return "failed";
    case Phase::unknown:
        break;
    }
    return "unknown";
}

void print_json(cli::Printer& printer, const ActionState& state) {
    printer.answer(json::python_line(boost::json::object{
        {"phase", word_for(state.phase)},
        {"guest", state.guest},
        {"detail", state.detail},
        {"warnings", boost::json::array(state.warnings.begin(), state.warnings.end())},
        {"error", state.error ? std::string_view(state.error->what()) : std::string_view()}}));
}

void print_lines(cli::Printer& printer, const ActionState& state) {
    const std::string why = state.error ? state.error->what() : state.detail;
    printer.answer(std::string(word_for(state.phase)) + (why.empty() ? "" : ": " + text::printable(why)));
    if (state.error && !state.detail.empty()) printer.answer("log: " + text::printable(state.detail));
    for (const std::string& warning : state.warnings) printer.answer("warning: " + text::printable(warning));
}

int run(cli::Call& call) {
    const auto platform = open_platform(call);
    const std::string& id = call.arguments.operands().front();
    const auto seconds = call.arguments.integer("wait").value_or(0);
    ActionState state = seconds == 0
                            ? platform->look(id)
                            : platform::await_end(*platform, id, Deadline::in(std::chrono::seconds(seconds)),
                                                  [](std::chrono::milliseconds span) {
                                                      pause_for(span, [] { Interruption().check(); });
                                                  });
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, state);
    call.printer.flush_answer();
    return state.phase == Phase::failed || state.phase == Phase::unknown ? 1 : 0;
}

constexpr std::string_view details =
    "On a Proxmox node ID is a task's UPID, as its tasks' list shows it. Under libvirt it is the handle of "
    "an "
    "operation, three words in one argument; what a dead process left of it is finished, as by recover.";

} // namespace

cli::Row task_row() {
    return {.verb = "task",
            .summary = "tell how an action of the platform stands",
            .details = details,
            .operands = {{.name = "ID", .help = "the task's or operation's handle"}},
            .options = {{.name = "json", .help = "print one JSON document"},
                        {.name = "wait",
                         .kind = cli::Option::Kind::integer,
                         .value = "SECONDS",
                         .min = 0,
                         .max = 86'400,
                         .help = "wait for its end, at most so long"}},
            .output = {.text = "waiting, running, done, failed or unknown, and why; its warnings",
                       .json_keys = {"phase", "guest", "detail", "warnings", "error"},
                       .json_call = "--json"},
            .examples = {{"UPID:pve1:0000A1B2:01234567:68F0C1D2:qmstart:140:agent@pve!main:", "look"}},
            .needs = cli::Needs::config,
            .exit_1 = "the action failed, or nobody knows its end",
            .run = run};
}

} // namespace blockhost::subcommands
