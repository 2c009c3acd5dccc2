// SPDX-License-Identifier: MIT
#include "agent/front.hpp"

#include "agent/database.hpp"
#include "agent/engine.hpp"
#include "base/text/json.hpp"
#include "config/agent_json.hpp"

namespace blockhost::agent {

namespace {

/// Whether agent.json is about this program's own VMs.
bool is_about_our_vms(const Paths& paths) {
    const AgentJson agent = read_agent_json(paths);
    const auto* platform = agent.member("platform");
    return platform == nullptr || json::string_or(*platform, "kind", "libvirt") == "libvirt";
}

} // namespace

Front front_of(const Paths& paths, Caller caller) {
    if (!is_about_our_vms(paths)) return Front::nothing;
    if (authority_of(paths).gate.require == authority::RequireSignatures::all) return Front::signature;
    return caller == Caller::root && existing_database(paths) ? Front::record : Front::nothing;
}

} // namespace blockhost::agent
