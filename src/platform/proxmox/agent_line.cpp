// SPDX-License-Identifier: MIT
#include "platform/proxmox/agent_line.hpp"

#include "base/text/base64.hpp"
#include "base/text/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::platform::proxmox {

namespace {

namespace bj = boost::json;

/// A node decodes what the agent sent in base64.
bj::object status_of(const bj::value& told) {
    bj::object status;
    if (!told.is_object()) return status;
    const bj::object& object = told.get_object();
    status["exited"] = flag(object, "exited");
    for (const char* key : {"exitcode", "signal"})
        if (const auto value = number(object, key)) status[key] = *value;
    for (const char* key : {"out-data", "err-data"})
        if (const auto text = scalar(object, key)) status[key] = base64::encode(*text);
    for (const char* key : {"out-truncated", "err-truncated"})
        if (object.contains(key)) status[key] = flag(object, key);
    return status;
}

Parameters command_of(const bj::object& arguments) {
    Parameters command{{"command", json::string_or(arguments, "path", "")}};
    for (std::string& word : json::strings_in(arguments, "arg"))
        command.emplace_back("command", std::move(word));
    return command;
}

bj::value passed_on(Client& client, const Permit& permit, const std::string& at, const bj::object& message) {
    const std::string name = json::string_or(message, "execute", "");
    const bj::value* given = message.if_contains("arguments");
    const bj::object none, &arguments = given != nullptr && given->is_object() ? given->get_object() : none;
    if (name == "guest-ping") {
        client.change(permit, "POST", at + "ping");
        return bj::object();
    }
    if (name == "guest-exec") {
        const bj::value told = client.change(permit, "POST", at + "exec", command_of(arguments));
        const auto pid = told.is_object() ? number(told.get_object(), "pid") : std::nullopt;
        return pid ? bj::object{{"pid", *pid}} : bj::object();
    }
    if (name == "guest-exec-status")
        return status_of(
            client.get(at + "exec-status", {{"pid", std::to_string(number(arguments, "pid").value_or(0))}}));
    throw Error(Code::internal, "a node does not pass on " + name);
}

} // namespace

guest::AgentCall agent_line(Client& client, const Permit& permit, std::string node, const GuestRef& guest) {
    if (guest.kind != Kind::vm)
        throw Error(Code::wrong_state, "a container has no guest agent",
                    "what it needs has to be in the archive that it is made of");
    const std::string at = "/nodes/" + node + "/qemu/" + std::to_string(guest.id) + "/agent/";
    return [&client, &permit, at](const std::string& command) {
        const bj::value message = json::parse(command, "a message for the guest agent");
        return bj::serialize(bj::object{{"return", passed_on(client, permit, at, message.as_object())}});
    };
}

std::optional<bool> Node::agent_answers(const GuestRef& vm) {
    try {
        client_.get(path(vm, "/agent/info"));
        return true;
    } catch (const Refused& refused) {
        const RefusalKind kind = refused.refusal().kind;
        if (kind != RefusalKind::no_agent && kind != RefusalKind::wrong_state) throw;
        if (refused.refusal().words.find("No QEMU guest agent configured") != std::string::npos)
            return std::nullopt;
        return false;
    }
}

} // namespace blockhost::platform::proxmox
