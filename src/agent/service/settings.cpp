// SPDX-License-Identifier: MIT
#include "agent/service/settings.hpp"

#include "agent/heal.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/open.hpp"

#include <algorithm>
#include <array>

namespace blockhost::agent {

namespace bj = boost::json;

namespace {

constexpr std::array<std::string_view, 4> sections{"platform", "authority", "healing", "hub"};

void require_known_sections(const AgentJson& agent) {
    if (!agent.document) return;
    if (!agent.document->is_object())
        throw Error(Code::config, agent.file.string() + " holds no JSON object",
                    R"(write {"platform": {"kind": "libvirt"}} into it)");
    for (const auto& [key, value] : agent.document->get_object())
        if (std::ranges::find(sections, std::string_view(key)) == sections.end())
            throw Error(Code::config, agent.file.string() + ": \"" + text::printable(key) + "\" is not known",
                        "its members are platform, authority, healing and hub");
}

bj::object said(bj::value value, std::string_view from) {
    return {{"value", std::move(value)}, {"from", from}};
}

/// What the file says of a section, over what holds without it.
bj::object layered(const AgentJson& agent, std::string_view section, const bj::object& defaults) {
    bj::object all;
    for (const auto& [key, value] : defaults) all[key] = said(value, "default");
    const bj::value* given = agent.member(section);
    if (given != nullptr && given->is_object())
        for (const auto& [key, value] : given->get_object()) all[key] = said(value, agent.file.string());
    return all;
}

bj::object healing_defaults() {
    const execution::HealingRules rules;
    return {{"off_for_s", rules.off_for.count()},
            {"between_s", rules.between.count()},
            {"longest_s", rules.longest.count()},
            {"most_starts", rules.most_starts},
            {"steady_s", rules.steady.count()}};
}

bj::object authority_defaults() {
    const authority::GateSettings gate;
    return {{"require_signatures", "destructive"},
            {"window_hours", std::chrono::duration_cast<std::chrono::hours>(gate.window).count()}};
}

} // namespace

ServiceSettings read_service_settings(const AgentJson& agent, const hub::Environment& environment) {
    require_known_sections(agent);
    platform::require_sound(agent);
    if (const bj::value* section = agent.member("authority"))
        static_cast<void>(authority::authority_settings(*section, agent.where("authority")));
    static_cast<void>(healing_rules_in(agent));
    ServiceSettings settings;
    std::vector<hub::Origin> origins;
    settings.hub = hub::read_settings(agent.member("hub"), agent.where("hub"), agent.file.string(),
                                      environment, &origins);
    bj::object of_hub;
    for (const hub::Origin& each : origins) of_hub[each.member] = said(each.value, each.from);
    settings.effective = {{"platform", layered(agent, "platform", {{"kind", "libvirt"}})},
                          {"authority", layered(agent, "authority", authority_defaults())},
                          {"healing", layered(agent, "healing", healing_defaults())},
                          {"hub", std::move(of_hub)}};
    settings.digest = sha256(json::python_line(settings.effective));
    return settings;
}

} // namespace blockhost::agent
