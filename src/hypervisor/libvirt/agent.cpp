/// See agent.hpp.

#include "hypervisor/libvirt/agent.hpp"

#include "hypervisor/libvirt/errors.hpp"
#include "hypervisor/libvirt/handles.hpp"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

namespace blockhost::libvirt {
namespace {

/// Of libvirt's greeting, in seconds.
constexpr int usual_greeting = 5;
/// What libvirt says of every silent agent, and callers look for.
constexpr const char* silent = "Guest agent is not responding: ";

/// Nobody answered, or not yet: another conversation with that agent is under way.
bool is_silence(int libvirt_code) {
    return libvirt_code == VIR_ERR_AGENT_UNRESPONSIVE || libvirt_code == VIR_ERR_AGENT_UNSYNCED ||
           libvirt_code == VIR_ERR_OPERATION_TIMEOUT;
}

/// The daemon reads 10 MiB of a reply, and passes 4 MiB on.
bool is_too_large(const std::string& words) {
    return words.find("No complete agent response found") != words.npos ||
           words.find("Unable to encode message payload") != words.npos;
}

Failed why_none(virConnectPtr connection, const std::string& name) {
    const std::string asking = "ask the guest agent of " + name, words = last_words();
    auto why = last_failure(connection, asking);
    auto& failure = why.failure;
    switch (failure.code) {
    case Code::wrong_state:
    case Code::not_found:
    case Code::no_answer:
    case Code::denied:
        return why;
    default:
        failure.code = Code::guest;
    }
    if (is_too_large(words))
        failure.message =
            "the guest agent of " + name + " sent a reply larger than libvirt takes (" + words + ")";
    else if (is_silence(why.libvirt_code) && !words.starts_with(silent))
        failure.message = "libvirt cannot " + asking + ": " + silent + words;
    return why;
}

} // namespace

std::string Agents::ask(virConnectPtr connection, const std::string& name, const std::string& command,
                        int seconds) {
    Domain domain(virDomainLookupByName(connection, name.c_str()));
    if (!domain && last_code() == VIR_ERR_NO_DOMAIN)
        throw failed(Code::not_found, "libvirt has no domain " + name);
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
            virDomainAgentSetResponseTimeout(domain.get(), VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
    greetings_.clear();
}

} // namespace blockhost::libvirt
