// SPDX-License-Identifier: MIT
#include "config/agent_json.hpp"

#include "base/text/json.hpp"
#include "config/config_file.hpp"

namespace blockhost {

const boost::json::value* AgentJson::member(std::string_view name) const {
    return document ? json::member(*document, name) : nullptr;
}

std::string AgentJson::where(std::string_view name) const {
    return file.string() + ": \"" + std::string(name) + "\"";
}

AgentJson read_agent_json(const Paths& paths) {
    AgentJson agent{.file = paths.etc / "agent.json", .document = {}};
    if (const auto text = read_config_file(agent.file))
        agent.document = json::parse(*text, agent.file.string());
    return agent;
}

} // namespace blockhost
