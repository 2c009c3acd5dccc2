// SPDX-License-Identifier: MIT
/// See guest_line.hpp.

#include "vm/guest_line.hpp"

#include "base/patience.hpp"
#include "guest/message.hpp"

#include <fmt/format.h>

namespace blockhost {
namespace {

using namespace std::chrono_literals;

/// How long an answer may take: a guest that is busy with other things may need a while.
constexpr auto answer_span = 5s;
/// How long a call may take in all: other callers may be using that agent.
constexpr std::chrono::milliseconds call_span = 15s;
/// How long a ping may take: a dead guest must be known as dead soon.
constexpr auto ping_span = 2s;
constexpr std::chrono::milliseconds greeting_span = 3s;
/// What remains for cleanup after a deadline.
constexpr std::chrono::milliseconds shortest_call = 1s;

bool says(const Error& error, std::string_view words) {
    return error.message().find(words) != std::string::npos;
}

/// Why the agent does not answer, judged by libvirt's words.
Error why_silent(const VmName& name, const Error& error) {
    if (says(error, "not connected") || says(error, "not configured"))
        return Error(Code::guest, fmt::format("the guest agent of {} is not connected", name.str()),
                     "the guest may still be starting, or qemu-guest-agent is not installed in it");
    if (says(error, "due to an error"))
        return Error(Code::guest,
                     fmt::format("libvirt has given up the guest agent of {} after an error", name.str()),
                     "restart qemu-guest-agent in the guest, or the VM");
    return Error(Code::guest,
                 fmt::format("the guest agent of {} does not answer: {}", name.str(), error.message()));
}

} // namespace

std::string AgentLine::ask(const std::string& command, std::chrono::seconds longest,
                           std::chrono::milliseconds limit) const {
    const auto most = std::max(std::min(limit, end_.left()), shortest_call);
    const auto seconds = std::min(longest, std::chrono::ceil<std::chrono::seconds>(most));
    try {
        return hypervisor_.agent(name_.str(), command, static_cast<int>(seconds.count()), most);
    } catch (const Error& error) {
        if (error.code() == Code::not_found)
            throw Error(Code::not_found, fmt::format("there is no VM named {}", name_.str()));
        if (error.code() == Code::wrong_state) refuse_while_it_does_not_run();
        if (error.code() == Code::no_answer)
            throw Error(Code::no_answer,
                        fmt::format("nothing was heard of the guest agent of {} in time: {}", name_.str(),
                                    error.message()),
                        error.hint());
        throw;
    }
}

void AgentLine::refuse_while_it_does_not_run() const {
    if (hypervisor_.state(name_.str()) == PowerState::paused)
        throw guest::Paused(Code::wrong_state, fmt::format("{} is paused", name_.str()),
                            fmt::format("let it go on with start {}", name_.str()));
    throw Error(Code::wrong_state, fmt::format("{} is not running", name_.str()));
}

void AgentLine::check_once() const {
    try {
        interruption_.check();
    } catch (const Error&) {
        interruption_.ignore_from_now();
        throw;
    }
}

void AgentLine::greet() const {
    try {
        const std::string reply = ask(R"({"execute":"guest-ping"})", ping_span, greeting_span);
        guest::returned_by(reply, "guest-ping");
    } catch (const Error& error) {
        if (guest::is_silence(error) || says(error, "not configured")) throw why_silent(name_, error);
        throw;
    }
}

guest::AgentCall AgentLine::call() const {
    return [this](const std::string& command) {
        check_once();
        return ask(command, answer_span, call_span);
    };
}

guest::Waiting AgentLine::waiting() const {
    guest::Waiting waiting;
    waiting.sleep = [this](std::chrono::milliseconds span) { pause_for(span, [this] { check_once(); }); };
    return waiting;
}

} // namespace blockhost
