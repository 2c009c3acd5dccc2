// SPDX-License-Identifier: MIT
/// See agents.hpp.

#include "hypervisor/rpc/agents.hpp"

#include "hypervisor/common/states.hpp"

namespace blockhost::rpc {
namespace {

std::string timeout_arguments(const Domain& domain, int seconds) {
    Writer writer;
    (writer << domain).number(seconds).number(0u);
    return writer.bytes();
}

} // namespace

Agents::Known& Agents::known(Session& session, const std::string& name, const Deadline& deadline) {
    const auto found = known_.find(name);
    if (found != known_.end()) return found->second;
    auto domain = look_up(session, name, deadline);
    if (!domain) {
        const auto why = libvirt::no_such_domain(name);
        throw Error(why.code, why.message, why.hint);
    }
    return known_[name] = {std::move(*domain), 0};
}

std::string Agents::ask(Session& session, const std::string& name, const std::string& command, int seconds,
                        const Deadline& deadline) {
    const bool remembered = known_.count(name) != 0;
    try {
        return ask_known(session, known(session, name, deadline), command, seconds, deadline);
    } catch (const Refusal& why) {
        if (!remembered || why.code() != libvirt::number::no_domain) throw;
    }
    known_.erase(name); // another one may have that name now
    return ask_known(session, known(session, name, deadline), command, seconds, deadline);
}

std::string Agents::ask_known(Session& session, Known& known, const std::string& command, int seconds,
                              const Deadline& deadline) {
    const std::string doing = libvirt::asking_agent(known.domain.name);
    if (seconds >= 1 && seconds < libvirt::usual_greeting && known.greeting != seconds) {
        try {
            session.call(doing, domain_agent_set_response_timeout, timeout_arguments(known.domain, seconds),
                         deadline);
            known.greeting = seconds;
        } catch (const Refusal&) { // the greeting takes longer, and the command itself tells what is wrong
        }
    }
    Writer arguments;
    (arguments << known.domain).text(command).number(seconds).number(0u);
    const Answer answer = session.call(doing, domain_agent_command, arguments.bytes(), deadline);
    try {
        return agent_reply(answer.reader());
    } catch (Surprise& why) { // the agent was asked all the same
        why.set_doing(doing);
        throw;
    }
}

void Agents::restore(Session& session, const Deadline& deadline) noexcept {
    try {
        for (const auto& [name, known] : known_) {
            if (known.greeting == 0) continue;
            try {
                session.call("", domain_agent_set_response_timeout,
                             timeout_arguments(known.domain, libvirt::greeting_by_default), deadline);
            } catch (const Refusal&) { // it is gone, and with it the setting
            }
        }
    } catch (const std::exception&) { // so is the connection
    }
    known_.clear();
}

} // namespace blockhost::rpc
