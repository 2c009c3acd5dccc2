// SPDX-License-Identifier: MIT
#pragma once
/// `<etc>/agent.json`, how this host's agent is set up. Each part of the agent reads a member of its own.

#include "config/paths.hpp"

#include <boost/json/value.hpp>
#include <optional>

namespace blockhost {

struct AgentJson {
    std::filesystem::path file;
    std::optional<boost::json::value> document; ///< nothing: there is no such file

    /// Null when there is no such file, or no such member in it.
    const boost::json::value* member(std::string_view name) const;
    /// A member's name in messages: FILE: "NAME".
    std::string where(std::string_view name) const;
};

/// Throws Error{config} when the file cannot be read, is empty, or is no JSON.
AgentJson read_agent_json(const Paths& paths);

} // namespace blockhost
