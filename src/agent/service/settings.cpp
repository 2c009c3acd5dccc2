// SPDX-License-Identifier: MIT
#include "agent/service/settings.hpp"

#include "agent/heal.hpp"
#include "base/text/digest.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "platform/open.hpp"

#include <algorithm>
#include <array>

namespace blockhost::agent {

namespace bj = boost::json;

namespace {

constexpr std::array<std::string_view, 5> sections{"platform", "authority", "healing", "hub", "metrics"};

void require_known_sections(const AgentJson& agent) {
    if (!agent.document) return;
    if (!agent.document->is_object())
        throw Error(Code::config, agent.file.string() + " holds no JSON object",
                    R"(write {"platform": {"kind": "libvirt"}} into it)");
    for (const auto& [key, value] : agent.document->get_object())
        if (std::ranges::find(sections, std::string_view(key)) == sections.end())
            throw Error(Code::config, agent.file.string() + ": \"" + text::printable(key) + "\" is not known",
                        "its members are platform, authority, healing, hub and metrics");
}

/// Of this host alone: who scrapes from elsewhere does it by a proxy of the admin's.
MetricsPlace metrics_place(const bj::value& section, const std::string& where) {
    try {
        json::Fields fields(section, where);
        const auto listen = fields.maybe_text("listen"), socket = fields.maybe_text("socket");
        fields.finish();
        if (listen.has_value() == socket.has_value())
            throw fields.refusal("listen", "or \"socket\" is to be there, and only one of them");
        if (socket) {
            const std::filesystem::path path(*socket);
            if (!path.is_absolute() || !path.has_filename())
                throw fields.refusal("socket", "is no absolute path of a file");
            return {.address = {}, .port = 0, .socket = path};
        }
        const auto colon = listen->rfind(':');
        const std::string address = listen->substr(0, colon == listen->npos ? 0 : colon);
        const auto port = colon == listen->npos ? std::nullopt : text::parse_int(listen->substr(colon + 1));
        constexpr int most = 65535;
        if ((address != "127.0.0.1" && address != "[::1]") || !port || *port < 1 || *port > most)
            throw fields.refusal("listen", "is no port of this host alone",
                                 "as 127.0.0.1:9177 or [::1]:9177");
        return {
            .address = address == "[::1]" ? "::1" : address, .port = static_cast<int>(*port), .socket = {}};
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
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
    if (const bj::value* section = agent.member("metrics"))
        settings.metrics = metrics_place(*section, agent.where("metrics"));
    settings.effective = {{"platform", layered(agent, "platform", {{"kind", "libvirt"}})},
                          {"authority", layered(agent, "authority", authority_defaults())},
                          {"healing", layered(agent, "healing", healing_defaults())},
                          {"hub", std::move(of_hub)},
                          {"metrics", layered(agent, "metrics", {})}};
    settings.digest = sha256(json::python_line(settings.effective));
    return settings;
}

} // namespace blockhost::agent
