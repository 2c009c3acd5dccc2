// SPDX-License-Identifier: MIT
/// See agent.hpp.

#include "hypervisor/libvirt/agent.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

namespace blockhost::libvirt {
namespace {

Failed why_none(virConnectPtr connection, const std::string& name) {
    const std::string words = last_words();
    auto why = last_failure(connection, asking_agent(name));
    why.failure = agent_failure(std::move(why.failure), why.libvirt_code, name, words);
    return why;
}

} // namespace

std::string Agents::ask(virConnectPtr connection, const std::string& name, const std::string& command,
                        int seconds) {
    Domain domain(virDomainLookupByName(connection, name.c_str()));
    if (!domain && last_code() == VIR_ERR_NO_DOMAIN) throw Failed{no_such_domain(name)};
    if (!domain) throw last_failure(connection, "look for domain " + name);
    bound_greeting(domain.get(), name, seconds);
    Text reply(virDomainQemuAgentCommand(domain.get(), command.c_str(), seconds, 0));
    if (reply) return reply.get();
    throw why_none(connection, name);
}

void Agents::bound_greeting(virDomainPtr domain, const std::string& name, int seconds) {
    if (seconds < 1 || seconds >= usual_greeting) return;
    auto set = greetings_.find(name);
    if (set != greetings_.end() && set->second == seconds) return;
    // where it fails the greeting takes longer, and the command itself tells what is wrong
    if (virDomainAgentSetResponseTimeout(domain, seconds, 0) == 0) greetings_[name] = seconds;
}

void Agents::restore(virConnectPtr connection) noexcept {
    for (const auto& [name, seconds] : greetings_)
        if (Domain domain{virDomainLookupByName(connection, name.c_str())})
            virDomainAgentSetResponseTimeout(domain.get(), greeting_by_default, 0);
    greetings_.clear();
}

} // namespace blockhost::libvirt
