// SPDX-License-Identifier: MIT
#pragma once
/// `<etc>/agent.json` as a whole, and the environment over it.

#include "agent/service/metrics_door.hpp"
#include "config/agent_json.hpp"
#include "hub/settings.hpp"

#include <boost/json/object.hpp>

namespace blockhost::agent {

struct ServiceSettings {
    hub::Settings hub;
    std::optional<MetricsPlace> metrics;
    /// Each value that holds, by section and member: {"value": …, "from": "default", the file or a variable}.
    /// No secret is in it: the file names the files that hold them.
    boost::json::object effective;
    std::string digest; ///< SHA-256 of `effective` as a line of JSON
};

/// Reads every member strictly, also those of other parts of the agent. Throws Error{config}, naming file and
/// member, for a member that is not known and for anything that makes no sense.
ServiceSettings read_service_settings(const AgentJson& agent, const hub::Environment& environment);

} // namespace blockhost::agent
