// SPDX-License-Identifier: MIT
/// host: facts of the platform that this host is, and what its features lack.

#include "agent/front.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "cli/printer.hpp"
#include "platform/open.hpp"
#include "platform/proxmox/role.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <mutex>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

Reality reality_of(const cli::Call& call) {
    return call.mock ? Reality::simulated : Reality::real;
}

} // namespace

std::unique_ptr<platform::Platform> open_platform(const cli::Call& call) {
    return platform::open_platform(call.paths, reality_of(call), [] { Interruption().check(); });
}

void require_agents_user(const cli::Call& call) {
    if (reality_of(call) == Reality::real && geteuid() != 0)
        throw Error(Code::denied, "the agent's operations are root's alone", "run it as root");
}

void tell_of_clock(const cli::Call& call, const std::optional<Error>& doubt) {
    if (!doubt) return;
    call.printer.warn(doubt->message() + ": signatures are refused until it is right; " + doubt->hint());
}

agent::Engine open_engine(const cli::Call& call) {
    return make_engine(call, [&call](const Error& doubt) { tell_of_clock(call, doubt); });
}

agent::Engine make_engine(const cli::Call& call, std::function<void(const Error&)> doubtful_clock) {
    require_agents_user(call);
    return {call.paths, agent::authority_of(call.paths),
            [&call] { return platform::open_platform(call.paths, reality_of(call), [] {}); },
            agent::Engine::Times{.doubtful_clock = std::move(doubtful_clock)}};
}

namespace {

agent::Caller caller_of(const cli::Call& call) {
    const bool is_root = geteuid() == 0 || reality_of(call) == Reality::simulated;
    return is_root ? agent::Caller::root : agent::Caller::other;
}

std::string requester_of(std::string_view verb) {
    return "uid " + std::to_string(getuid()) + ", " + std::string(verb);
}

} // namespace

void destroy_behind_gate(const cli::Call& call, const VmName& name, const std::function<void()>& act) {
    const agent::Front front = agent::front_of(call.paths, caller_of(call));
    if (front == agent::Front::nothing) return act();
    if (caller_of(call) == agent::Caller::other)
        throw Error(Code::denied, "a destroy needs an operator's signature on this host, which root asks for",
                    "run it as root: it then waits for the signature");
    agent::Engine engine = open_engine(call);
    const auto asked = engine.by_shell(name.str(), platform::Destroy{}, requester_of("destroy"), act,
                                       [] { Interruption().check(); });
    if (!asked || asked->state == execution::State::done) return;
    if (asked->state == execution::State::waiting)
        throw Error(Code::denied,
                    name.str() + " is not destroyed yet: operation " + asked->id + " waits for a signature",
                    "approve it with 'blockhost-libvirt approve " + asked->id + "', or reject it");
    throw asked->error
        ? asked->error->within("operation " + asked->id)
        : Error(Code::internal, "operation " + asked->id + " is " + std::string(to_string(asked->state)));
}

void require_no_signature(const cli::Call& call, std::string_view what, const std::string& remedy) {
    if (agent::front_of(call.paths, caller_of(call)) != agent::Front::signature) return;
    throw Error(
        Code::denied,
        fmt::format("{} loses data; this host requires an operator's signature for that, and there is "
                    "none for this verb",
                    what),
        remedy);
}

GateOfGc gate_of_gc(const cli::Call& call) {
    const agent::Front front = agent::front_of(call.paths, caller_of(call));
    if (front == agent::Front::signature)
        return [](const VmName& name, const std::function<void()>&) {
            return "it needs an operator's signature: 'blockhost-libvirt destroy " + name.str() +
                   "' asks for one";
        };
    if (front == agent::Front::nothing)
        return [](const VmName&, const std::function<void()>& act) { return act(), std::string(); };
    struct Shared {
        explicit Shared(const cli::Call& call) : engine(open_engine(call)) {}
        std::mutex mutex; ///< of the engine
        agent::Engine engine;
    };
    return [shared = std::make_shared<Shared>(call)](const VmName& name, const std::function<void()>& act) {
        const std::lock_guard lock(shared->mutex);
        shared->engine.by_shell(name.str(), platform::Destroy{}, requester_of("gc"), act,
                                [] { Interruption().check(); });
        return std::string();
    };
}

namespace {

template<class Value>
boost::json::value or_null(const std::optional<Value>& value) {
    return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

boost::json::value as_json(const std::optional<platform::NextCertificate>& next) {
    if (!next) return nullptr;
    return boost::json::object{
        {"fingerprint", next->fingerprint}, {"expiry", next->expiry}, {"pinned", or_null(next->is_pinned)}};
}

void print_json(cli::Printer& printer, const platform::Host& host, const std::vector<platform::Lack>& lacks) {
    boost::json::array all;
    for (const auto& lack : lacks)
        all.push_back(
            boost::json::object{{"feature", lack.feature}, {"what", lack.what}, {"remedy", lack.remedy}});
    printer.answer(json::python_line(boost::json::object{
        {"platform", host.platform},
        {"name", host.name},
        {"version", host.version},
        {"kernel", host.kernel},
        {"uptime_seconds", or_null(host.uptime_s)},
        {"clock", or_null(host.clock)},
        {"cpus", or_null(host.cpus)},
        {"memory_mib", or_null(host.memory_mib)},
        {"memory_free_mib", or_null(host.memory_free_mib)},
        {"load", or_null(host.load)},
        {"certificate_expiry", or_null(host.certificate_expiry)},
        {"next_certificate", as_json(host.next_certificate)},
        {"lacks", std::move(all)},
    }));
}

void print_lines(cli::Printer& printer, const platform::Host& host,
                 const std::vector<platform::Lack>& lacks) {
    const auto line = [&](std::string_view what, const std::string& text) {
        if (!text.empty()) printer.answer(fmt::format("{:<13}{}", what, text::printable(text)));
    };
    const auto instant = [](std::int64_t seconds) {
        return format_instant(Instant(std::chrono::seconds(seconds)));
    };
    line("platform", host.platform + (host.version.empty() ? "" : " " + host.version));
    line("name", host.name);
    line("kernel", host.kernel);
    if (host.cpus) line("cpus", std::to_string(*host.cpus));
    if (host.memory_mib)
        line("memory",
             std::to_string(*host.memory_mib) + " MiB" +
                 (host.memory_free_mib ? ", " + std::to_string(*host.memory_free_mib) + " free" : ""));
    if (host.load) line("load", fmt::format("{:.2f}", *host.load));
    if (host.certificate_expiry) line("certificate", "valid until " + instant(*host.certificate_expiry));
    if (const auto& next = host.next_certificate) {
        const bool is_stranger = next->is_pinned == false;
        line("certificate", "the next: " + next->fingerprint + ", valid until " + instant(next->expiry) +
                                (is_stranger ? "; no pin fits it: add it to those in agent.json" : ""));
    }
    for (const auto& lack : platform::by_cause(lacks))
        line("lacks", lack.what + ", for " + lack.feature + "; " + lack.remedy);
}

int run(cli::Call& call) {
    if (const auto major = call.arguments.text("role")) {
        call.printer.answer_raw(platform::proxmox::role_commands(static_cast<int>(*text::parse_int(*major))));
        call.printer.flush_answer();
        return 0;
    }
    const auto platform = open_platform(call);
    const auto host = platform->host();
    const auto lacks = platform->preflight();
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, host, lacks);
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "The platform is this host's libvirt, or the node of Proxmox VE that agent.json names. What its features "
    "lack (privileges of the API token, above all) is told before anything is tried. Nothing is changed.\n\n"
    "--role prints the commands that make role, user and token on a node. Nothing runs them but you.";

} // namespace

cli::Row host_row() {
    return {.verb = "host",
            .summary = "tell facts of the platform, and what its features lack",
            .details = details,
            .options = {{.name = "json", .help = "print one JSON document"},
                        {.name = "role",
                         .kind = cli::Option::Kind::choice,
                         .value = "MAJOR",
                         .help = "print the commands that make an API token for that version of Proxmox VE",
                         .choices = {"8", "9"}}},
            .output = {.text = "a line for each fact, and one for each thing that lacks",
                       .json_keys = {"platform", "name", "version", "kernel", "uptime_seconds", "clock",
                                     "cpus", "memory_mib", "memory_free_mib", "load", "certificate_expiry",
                                     "next_certificate", "lacks"},
                       .json_call = "--json"},
            .examples = {{"", "look"},
                         {"--json", "for a program"},
                         {"--role 9", "what to run as root on a node, once"}},
            .needs = cli::Needs::config,
            .run = run};
}

} // namespace blockhost::subcommands
