// SPDX-License-Identifier: MIT
#include "platform/open.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "platform/libvirt/libvirt.hpp"
#include "platform/proxmox/proxmox.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::platform {

namespace {

namespace bj = boost::json;

/// The member "platform" of one file, read strictly: what is misspelt is not left out in silence.
class Section {
  public:
    Section(std::filesystem::path file, const bj::value& document) : file_(std::move(file)) {
        const bj::value* section = json::member(document, "platform");
        if (section == nullptr || !section->is_object())
            throw Error(Code::config, file_.string() + " has no object \"platform\"",
                        R"(write {"platform": {"kind": "libvirt"}} into it, or remove it)");
        section_ = section->get_object();
    }

    void allow_only(std::initializer_list<std::string_view> keys) const {
        for (const auto& [key, value] : section_)
            if (std::ranges::find(keys, std::string_view(key)) == keys.end())
                throw wrong(key, "is not known");
    }

    /// Empty when it may be left out and is.
    std::string text(std::string_view key, bool required = false) const {
        const bj::value* value = section_.if_contains(key);
        if (value == nullptr && !required) return "";
        if (value == nullptr) throw wrong(key, "is missing");
        if (!value->is_string() || value->get_string().empty()) throw wrong(key, "is no text");
        return std::string(value->get_string());
    }

    std::filesystem::path file(std::string_view key, bool required = false) const {
        std::filesystem::path path = text(key, required);
        if (!path.empty() && !path.is_absolute()) throw wrong(key, "is no absolute path");
        return path;
    }

    std::vector<http::Pin> pins(std::string_view key) const {
        std::vector<http::Pin> pins;
        const bj::value* value = section_.if_contains(key);
        if (value == nullptr) return pins;
        if (!value->is_array()) throw wrong(key, "is no list");
        for (const bj::value& each : value->get_array()) {
            const auto pin = each.is_string() ? http::parse_pin(each.get_string()) : std::nullopt;
            if (!pin)
                throw wrong(key, "has something that is no pin", "sha256: and the certificate's fingerprint");
            pins.push_back(*pin);
        }
        return pins;
    }

    Error wrong(std::string_view key, std::string_view what, std::string hint = {}) const {
        return Error(Code::config,
                     file_.string() + ": \"platform\": " + text::printable(key) + " " + std::string(what),
                     std::move(hint));
    }

  private:
    std::filesystem::path file_;
    bj::object section_;
};

proxmox::Settings settings_in(const Section& section) {
    section.allow_only(
        {"kind", "origin", "node", "token_file", "pins", "ca_file", "backup_storage", "disk_storage"});
    proxmox::Settings settings;
    settings.access.origin = section.text("origin", true);
    if (!settings.access.origin.starts_with("https://") ||
        settings.access.origin.find('/', std::string_view("https://").size()) != std::string::npos)
        throw section.wrong("origin", "is not of the form https://HOST:8006");
    settings.access.token_file = section.file("token_file", true);
    settings.access.trust.pins = section.pins("pins");
    settings.access.trust.ca_file = section.file("ca_file");
    if (settings.access.trust.pins.empty() == settings.access.trust.ca_file.empty())
        throw section.wrong("pins", "or ca_file is needed, and not both",
                            "pin the fingerprint that the node shows under System, Certificates");
    settings.node = section.text("node", true);
    settings.local.name = settings.node;
    settings.backup_storage = section.text("backup_storage");
    settings.disk_storage = section.text("disk_storage");
    return settings;
}

} // namespace

std::unique_ptr<Platform> open_platform(const Paths& paths, Reality reality, std::function<void()> check) {
    const AgentJson agent = reality == Reality::real ? read_agent_json(paths) : AgentJson();
    if (!agent.document) return std::make_unique<Libvirt>(paths, reality);
    const Section section(agent.file, *agent.document);
    if (section.text("kind", true) == "proxmox")
        return std::make_unique<proxmox::Proxmox>(settings_in(section), std::move(check));
    require_sound(agent);
    return std::make_unique<Libvirt>(paths, reality);
}

void require_sound(const AgentJson& agent) {
    if (!agent.document) return;
    const Section section(agent.file, *agent.document);
    const std::string kind = section.text("kind", true);
    if (kind == "proxmox") return static_cast<void>(settings_in(section));
    if (kind != "libvirt") throw section.wrong("kind", "is neither libvirt nor proxmox");
    section.allow_only({"kind"});
}

bool is_proxmox(const Paths& paths, Reality reality) {
    const AgentJson agent = reality == Reality::real ? read_agent_json(paths) : AgentJson();
    return agent.document && Section(agent.file, *agent.document).text("kind", true) == "proxmox";
}

} // namespace blockhost::platform
