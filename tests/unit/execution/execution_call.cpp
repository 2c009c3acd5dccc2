// SPDX-License-Identifier: MIT
// The operations of --mock's world, for tests/cli: each line of JSON on stdin is a wish, each answered by one
// line on stdout. The platform is a simulated one in the folder "platform".
#include "agent/database.hpp"
#include "base/text/json.hpp"
#include "execution/runner.hpp"
#include "platform/action_json.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"

#include <cstdio>
#include <iostream>

using namespace blockhost;
using namespace blockhost::execution;
namespace bj = boost::json;

namespace {

/// {"do": "submit", "target": …, "action": …, "key": …}, {"do": "run", "gate": "permits", "waits" or
/// "refuses"}, {"do": "approve" or "cancel", "id": …}.
std::string carried_out(const Paths& paths, Journal& journal, const bj::object& wish) {
    const std::string what = json::string_or(wish, "do", ""), id = json::string_or(wish, "id", "");
    if (what == "submit")
        return journal
            .submit({.source = {Source::Kind::hub, "job"},
                     .target = platform::target_from_json(wish.at("target"), "target"),
                     .action = platform::action_from_json(wish.at("action"), "action"),
                     .key = json::string_or(wish, "key", "")})
            .operation.id;
    if (what == "approve") return journal.approved(id, "signed"), id;
    if (what == "cancel") return journal.cancel(id, "it is not wanted"), id;
    if (what != "run") throw Error(Code::usage, "no such wish: " + what);
    const std::string gate = json::string_or(wish, "gate", "permits");
    const Door door = [gate](const Operation& operation) -> Verdict {
        if (gate == "waits") return Waits{"an operator's signature"};
        if (gate == "refuses") return Error(Code::denied, "the key was revoked", "sign with another one");
        return platform::PermitForTests::make(operation.target, operation.action);
    };
    using namespace std::chrono_literals;
    const RunnerSettings settings{.bounds = {},
                                  .patience = {.begin = 0ms, .again = 0ms, .trace = 0ms, .end = 1h},
                                  .look_every = 5ms,
                                  .grace = 0ms};
    const auto open = [] { return std::make_unique<platform::Simulated>(std::filesystem::path("platform")); };
    Runner(Ownership::take(agent::database_folder(paths)), journal, open, door, settings)
        .run(Runner::Until::idle, [] { return false; });
    return "idle";
}

} // namespace

int main() {
    const Paths paths = mock_paths(paths_from_environment(), std::filesystem::current_path());
    for (std::string line; std::getline(std::cin, line);) {
        std::string answer;
        try {
            Journal journal(agent::open_database(paths));
            answer = carried_out(paths, journal, json::parse(line, "wish").as_object());
        } catch (const Error& error) {
            answer = std::string("error: ") + error.what();
        }
        std::puts(answer.c_str());
        std::fflush(stdout);
    }
}
