// SPDX-License-Identifier: MIT
/// __root-action: the root agent's plugin (data/root-agent-actions/virsh.py) runs it for each action of this
/// package.

#include "cli/printer.hpp"
#include "rootside/actions.hpp"
#include "subcommands/verbs.hpp"

#include "base/text/json.hpp"

#include <array>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

constexpr std::size_t largest_request = 10u << 20; // the agent's own bound

std::string read_stdin() {
    std::string text;
    std::array<char, 1 << 16> part;
    ssize_t got = 0;
    while ((got = read(STDIN_FILENO, part.data(), part.size())) > 0) {
        text.append(part.data(), static_cast<std::size_t>(got));
        if (text.size() > largest_request)
            throw Error(Code::invalid, "the parameters are larger than 10 MiB");
    }
    if (got < 0) throw errno_error("cannot read", "stdin", errno);
    return text;
}

bj::object read_parameters() {
    const bj::value value = json::parse(read_stdin(), "stdin");
    if (value.is_object()) return value.get_object();
    throw Error(Code::invalid, "the parameters are no JSON object");
}

bj::object reply_to(const cli::Call& call) {
    try {
        require_root("a root agent's action");
        const bj::object parameters = read_parameters();
        World world(call.paths, call.mock ? Reality::simulated : Reality::real, Intent::look, call.printer,
                    root::end_of(parameters));
        bj::object reply = root::carry_out(world, call.arguments.operands().front(), parameters);
        reply["ok"] = true;
        return reply;
    } catch (const Error& error) {
        return {{"ok", false},
                {"error", error.message()},
                {"hint", error.hint()},
                {"code", row_of(error.code()).name}};
    }
}

/// The reply goes out as it is: a guest's text need not be UTF-8, and the reader knows that.
int run(cli::Call& call) {
    call.printer.answer_raw(bj::serialize(reply_to(call)) + "\n");
    call.printer.flush_answer();
    return 0;
}

} // namespace

cli::Row root_action_row() {
    return {
        .verb = "__root-action",
        .summary =
            "carry out an action for the root agent: parameters as JSON on stdin, reply as JSON on stdout",
        .operands = {{.name = "ACTION", .help = "as the root agent knows it"}},
        .output = {.unheard = "the action was carried out all the same; who asked looks before asking again"},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::destroys,
        .run = run,
        .visibility = cli::Row::Visibility::hidden,
    };
}

} // namespace blockhost::subcommands
