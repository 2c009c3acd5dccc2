// SPDX-License-Identifier: MIT
#include "hub/settings.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "hub/answer.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdlib>

namespace blockhost::hub {

namespace {

namespace bj = boost::json;

struct Row {
    std::string_view member, variable;
    const char* (*of_process)();
};
constexpr std::array<Row, 13> rows{{
    {"kind", "BLOCKHOST_AGENT_HUB_KIND",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_KIND")); }},
    {"folder", "BLOCKHOST_AGENT_HUB_FOLDER",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_FOLDER")); }},
    {"url", "BLOCKHOST_AGENT_HUB_URL",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_URL")); }},
    {"token_file", "BLOCKHOST_AGENT_HUB_TOKEN_FILE",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_TOKEN_FILE")); }},
    {"pins", "BLOCKHOST_AGENT_HUB_PINS",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_PINS")); }},
    {"ca_file", "BLOCKHOST_AGENT_HUB_CA_FILE",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_CA_FILE")); }},
    {"poll_s", "BLOCKHOST_AGENT_HUB_POLL_S",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_POLL_S")); }},
    {"urls", "BLOCKHOST_AGENT_HUB_URLS",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_URLS")); }},
    {"user", "BLOCKHOST_AGENT_HUB_USER",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_USER")); }},
    {"password_file", "BLOCKHOST_AGENT_HUB_PASSWORD_FILE",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_PASSWORD_FILE")); }},
    {"prefix", "BLOCKHOST_AGENT_HUB_PREFIX",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_PREFIX")); }},
    {"certificate_file", "BLOCKHOST_AGENT_HUB_CERTIFICATE_FILE",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_CERTIFICATE_FILE")); }},
    {"key_file", "BLOCKHOST_AGENT_HUB_KEY_FILE",
     [] { return static_cast<const char*>(std::getenv("BLOCKHOST_AGENT_HUB_KEY_FILE")); }},
}};

/// A variable's text as the member's value would be.
bj::value as_value(std::string_view member, std::string_view text) {
    if (member == "pins" || member == "urls") {
        bj::array all;
        for (const std::string& each : text::split(text, ',')) all.emplace_back(text::trim(each));
        return all;
    }
    if (member != "poll_s") return bj::value(text);
    const auto number = text::parse_int(text);
    return number ? bj::value(*number) : bj::value(text);
}

/// The values that hold, by member, and who said each.
class Layers {
  public:
    Layers(const bj::value* section, const std::string& where, std::string file,
           const Environment& environment)
        : where_(where), file_(std::move(file)) {
        if (section != nullptr) {
            json::Fields fields(*section, where);
            for (const Row& row : rows)
                if (fields.has(row.member)) set(row.member, fields.value(row.member), file_);
            fields.finish();
        }
        for (const Row& row : rows) {
            const char* text = environment(row.variable);
            if (text != nullptr && *text != '\0')
                set(row.member, as_value(row.member, text), std::string(row.variable));
        }
    }

    bool has(std::string_view member) const { return origins_.contains(std::string(member)); }
    /// A refusal that names whoever said it.
    Error wrong(std::string_view member, std::string_view what, std::string hint = {}) const {
        const auto found = origins_.find(std::string(member));
        const bool is_files = found == origins_.end() || found->second.from == file_;
        const std::string who =
            is_files ? where_ + ": member \"" + std::string(member) + "\"" : found->second.from;
        return Error(Code::config, who + " " + std::string(what), std::move(hint));
    }
    std::string text(std::string_view member) const {
        const auto& value = origins_.at(std::string(member)).value;
        if (!value.is_string() || value.get_string().empty()) throw wrong(member, "is no text");
        return std::string(value.get_string());
    }
    std::filesystem::path file(std::string_view member) const {
        std::filesystem::path path = text(member);
        if (!path.is_absolute()) throw wrong(member, "is no absolute path");
        return path;
    }
    const bj::value& value(std::string_view member) const { return origins_.at(std::string(member)).value; }
    void allow_only(std::initializer_list<std::string_view> members, std::string_view kind) const {
        for (const auto& [member, origin] : origins_)
            if (std::ranges::find(members, member) == members.end())
                throw wrong(member, "does not go with a hub of kind " + std::string(kind),
                            "take it out, or give another kind");
    }
    void tell(std::vector<Origin>& all) const {
        for (const auto& [member, origin] : origins_) all.push_back(origin);
    }

  private:
    void set(std::string_view member, const bj::value& value, const std::string& from) {
        origins_[std::string(member)] = {std::string(member), value, from};
    }
    std::string where_, file_;
    std::map<std::string, Origin> origins_;
};

void read_poll(const Layers& layers, Settings& settings) {
    if (!layers.has("poll_s")) return;
    const bj::value& poll = layers.value("poll_s");
    if (!poll.is_int64() || poll.get_int64() < least_poll.count() || poll.get_int64() > most_poll.count())
        throw layers.wrong("poll_s", "is no whole number of seconds from 60 to 3600");
    settings.poll = std::chrono::seconds(poll.get_int64());
}

/// Throws unless it is a URL that paths can be put behind.
void require_url(const Layers& layers, std::string_view member, const std::string& url,
                 const std::string& example) {
    const std::string objection = http::objection_to(url);
    if (!objection.empty() || url.ends_with('/') || url.find_first_of("?#") != std::string::npos)
        throw layers.wrong(
            member, objection.empty() ? "has a query, a fragment or a slash at its end" : objection, example);
}

/// What a server is known by.
void read_trust(const Layers& layers, http::Trust& trust) {
    if (layers.has("ca_file")) trust.ca_file = layers.file("ca_file");
    if (!layers.has("pins")) return;
    if (layers.has("ca_file")) throw layers.wrong("pins", "and \"ca_file\" do not go together");
    const bj::value& pins = layers.value("pins");
    if (!pins.is_array() || pins.get_array().empty()) throw layers.wrong("pins", "is no list of pins");
    for (const bj::value& each : pins.get_array()) {
        const auto pin = each.is_string() ? http::parse_pin(each.get_string()) : std::nullopt;
        if (!pin)
            throw layers.wrong(
                "pins", "has something that is no pin",
                "sha256: and the certificate's fingerprint, as openssl x509 -fingerprint -sha256 "
                "tells it");
        trust.pins.push_back(*pin);
    }
}

void read_https(const Layers& layers, Settings& settings) {
    layers.allow_only({"kind", "url", "token_file", "pins", "ca_file", "poll_s"}, "https");
    if (!layers.has("url")) throw layers.wrong("url", "is missing", "https://HOST/PATH");
    if (!layers.has("token_file"))
        throw layers.wrong("token_file", "is missing",
                           "name a file of root's, mode 0600, that holds the token");
    settings.url = layers.text("url");
    require_url(layers, "url", settings.url, "https://HOST/PATH");
    settings.token_file = layers.file("token_file");
    read_trust(layers, settings.trust);
}

void read_etcd(const Layers& layers, Settings& settings) {
    layers.allow_only({"kind", "urls", "user", "password_file", "prefix", "pins", "ca_file",
                       "certificate_file", "key_file", "poll_s"},
                      "etcd");
    if (!layers.has("urls")) throw layers.wrong("urls", "is missing", "[\"https://HOST:2379\", …]");
    if (!layers.has("password_file"))
        throw layers.wrong("password_file", "is missing",
                           "name the file of root's, mode 0600, that 'hub init-etcd' wrote");
    const bj::value& urls = layers.value("urls");
    if (!urls.is_array() || urls.get_array().empty()) throw layers.wrong("urls", "is no list of URLs");
    for (const bj::value& each : urls.get_array()) {
        if (!each.is_string()) throw layers.wrong("urls", "has something that is no URL");
        settings.urls.emplace_back(each.get_string());
        require_url(layers, "urls", settings.urls.back(), "https://HOST:2379");
    }
    settings.password_file = layers.file("password_file");
    if (layers.has("user")) settings.user = layers.text("user");
    if (layers.has("prefix")) settings.prefix = layers.text("prefix");
    if (!settings.prefix.starts_with('/') || settings.prefix.ends_with('/'))
        throw layers.wrong("prefix", "does not begin with a slash, or ends with one", "\"/blockhost\"");
    read_trust(layers, settings.trust);
    if (layers.has("certificate_file") != layers.has("key_file"))
        throw layers.wrong(layers.has("key_file") ? "key_file" : "certificate_file",
                           "needs both: \"certificate_file\" and \"key_file\"");
    if (!layers.has("key_file")) return;
    settings.trust.certificate_file = layers.file("certificate_file");
    settings.trust.key_file = layers.file("key_file");
}

} // namespace

const char* environment(std::string_view name) {
    const auto row = std::ranges::find(rows, name, &Row::variable);
    return row == rows.end() ? nullptr : row->of_process();
}

Settings read_settings(const bj::value* section, const std::string& where, const std::string& file,
                       const Environment& environment, std::vector<Origin>* origins) {
    std::optional<Layers> layers;
    try {
        layers.emplace(section, where, file, environment);
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
    Settings settings;
    if (origins != nullptr) {
        layers->tell(*origins);
        if (!layers->has("poll_s")) origins->push_back({"poll_s", settings.poll.count(), "default"});
    }
    if (!layers->has("kind")) {
        layers->allow_only({}, "none: there is no \"kind\"");
        return settings;
    }
    const std::string kind = layers->text("kind");
    if (kind != "folder" && kind != "https" && kind != "etcd")
        throw layers->wrong("kind", "is neither folder, https nor etcd");
    read_poll(*layers, settings);
    if (kind == "etcd") {
        settings.kind = Settings::Kind::etcd;
        read_etcd(*layers, settings);
        return settings;
    }
    if (kind == "https") {
        settings.kind = Settings::Kind::https;
        read_https(*layers, settings);
        return settings;
    }
    settings.kind = Settings::Kind::folder;
    layers->allow_only({"kind", "folder", "poll_s"}, "folder");
    if (!layers->has("folder"))
        throw layers->wrong("folder", "is missing", "name the folder that holds one for each host");
    settings.folder = layers->file("folder");
    return settings;
}

} // namespace blockhost::hub
