// SPDX-License-Identifier: MIT
#include "subcommands/agent_service.hpp"

#include "agent/service/service.hpp"
#include "base/files/given_file.hpp"
#include "base/hangup.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/help.hpp"
#include "cli/printer.hpp"
#include "subcommands/operation_text.hpp"
#include "subcommands/platform_verbs.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

namespace blockhost::subcommands {

namespace {

using agent::Check;
using agent::Service;

agent::ServiceSettings settings_of(const cli::Call& call) {
    return agent::read_service_settings(read_agent_json(call.paths), hub::environment);
}

agent::ServiceParts parts_of(cli::Call& call, ServiceManager& manager) {
    require_agents_user(call);
    prctl(PR_SET_DUMPABLE, 0); // what the hub knows this host by is in no core
    return {.paths = call.paths,
            .version = std::string(cli::version()),
            .engine = [&call](const auto& doubtful) { return make_engine(call, doubtful); },
            .settings = [&call] { return settings_of(call); },
            .is_asked_to_end = is_asked_to_end,
            .is_asked_to_reload = take_hangup,
            .say = [&call](const std::string& text) { call.printer.say(text::printable(text, 1000)); },
            .warn = [&call](const std::string& text) { call.printer.warn(text::printable(text, 1000)); },
            .manager = manager};
}

} // namespace

int run_service(cli::Call& call) {
    note_hangups();
    ServiceManager manager = ServiceManager::of_process();
    Service(parts_of(call, manager)).run();
    return 0;
}

int run_once(cli::Call& call) {
    ServiceManager nobody;
    const auto outcome = Service(parts_of(call, nobody)).once();
    Interruption().check();
    switch (outcome) {
    case Service::Outcome::done:
        call.printer.answer("Nothing is left to do.", cli::Tone::good);
        break;
    case Service::Outcome::waiting:
        call.printer.answer("Something waits, or is not known; the report says what.", cli::Tone::warning);
        break;
    case Service::Outcome::failed:
        call.printer.answer(
            "The hub was not reached, or something could not be done; 'operations' tells of that.",
            cli::Tone::bad);
        break;
    }
    call.printer.flush_answer();
    return outcome == Service::Outcome::failed ? 1 : 0;
}

int print_config(cli::Call& call) {
    call.printer.answer(json::python_line(settings_of(call).effective));
    call.printer.flush_answer();
    return 0;
}

int check_config(cli::Call& call, const std::string& file) {
    constexpr std::size_t largest = 1u << 20;
    const auto text = files::read_given(file, largest);
    if (!text)
        throw Error(Code::not_found, "there is no file " + text::printable(file), "name an agent.json");
    AgentJson agent{.file = file, .document = json::parse(*text, text::printable(file))};
    const auto settings = agent::read_service_settings(agent, [](std::string_view) { return nullptr; });
    const bool has_hub = settings.hub.kind != hub::Settings::Kind::none;
    call.printer.answer(has_hub ? "It makes sense." : "It makes sense, and names no hub.", cli::Tone::good);
    call.printer.flush_answer();
    return 0;
}

std::vector<Check> try_hub(cli::Call& call) {
    ServiceManager nobody;
    Service service(parts_of(call, nobody));
    try {
        const hub::Answer answer = service.try_hub();
        std::string told = "it took a report, and answered";
        told += answer.desired ? fmt::format("; it wants generation {}", answer.desired->generation)
                               : "; it wants nothing";
        if (answer.signed_mark && !answer.signed_mark->empty()) told += "; signed operations wait";
        if (answer.is_blocked) told += "; this host is blocked";
        const bool is_clear = answer.unclear.empty();
        return {{"hub", is_clear ? Check::Verdict::good : Check::Verdict::doubtful,
                 is_clear ? told : told + "; " + answer.unclear,
                 is_clear ? "" : "look at what it has for this host"}};
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        return {{"hub", Check::Verdict::bad, error.message(), error.hint()}};
    }
}

} // namespace blockhost::subcommands
