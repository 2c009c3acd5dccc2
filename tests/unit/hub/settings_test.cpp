// SPDX-License-Identifier: MIT
// Which hub a host has: the file, and the environment over it.
#include "base/text/json.hpp"
#include "hub/settings.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::hub;

namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Settings settings(const std::string& section, const Variables& variables = {},
                  std::vector<Origin>* origins = nullptr) {
    std::optional<boost::json::value> value;
    if (!section.empty()) value = json::parse(section, "it");
    return read_settings(
        value ? &*value : nullptr, "agent.json: \"hub\"", "agent.json",
        [&](std::string_view name) -> const char* {
            const auto found = variables.find(name);
            return found == variables.end() ? nullptr : found->second.c_str();
        },
        origins);
}
std::string refusal(const std::string& section, const Variables& variables = {}) {
    try {
        settings(section, variables);
    } catch (const Error& error) {
        CHECK(error.code() == Code::config);
        return error.message();
    }
    return "";
}

const std::string pin = "sha256:" + std::string(64, 'a');
const std::string https = R"({"kind": "https", "url": "https://h/v1", "token_file": "/t")";

} // namespace

TEST_CASE("a host without a hub has none") {
    CHECK(settings("").kind == Settings::Kind::none);
    CHECK(settings("{}").kind == Settings::Kind::none);
    CHECK(refusal(R"({"poll_s": 60})") ==
          R"(agent.json: "hub": member "poll_s" does not go with a hub of kind none: there is no "kind")");
}

TEST_CASE("a cluster is read with what belongs to it") {
    const std::string etcd =
        R"({"kind": "etcd", "urls": ["https://a:2379", "https://b:2379"], "password_file": "/p")";
    const Settings plain = settings(etcd + "}");
    CHECK(plain.kind == Settings::Kind::etcd);
    CHECK(plain.urls == std::vector<std::string>{"https://a:2379", "https://b:2379"});
    CHECK((plain.password_file == "/p" && plain.user.empty() && plain.prefix == "/blockhost"));
    const Settings full = settings(
        etcd +
        R"(, "user": "u", "prefix": "/x", "ca_file": "/ca", "certificate_file": "/c", "key_file": "/k"})");
    CHECK((full.user == "u" && full.prefix == "/x" && full.trust.ca_file == "/ca"));
    CHECK((full.trust.certificate_file == "/c" && full.trust.key_file == "/k"));
    CHECK(settings(etcd + "}", {{"BLOCKHOST_AGENT_HUB_URLS", "https://c:1, https://d:2"}}).urls ==
          std::vector<std::string>{"https://c:1", "https://d:2"});
    const auto refused = [&](const std::string& more, std::string_view words) {
        INFO(more);
        CHECK(refusal(etcd + more + "}").find(words) != std::string::npos);
    };
    refused(R"(, "token_file": "/t")", "does not go with a hub of kind etcd");
    refused(R"(, "prefix": "x")", "does not begin with a slash");
    refused(R"(, "prefix": "/x/")", "or ends with one");
    refused(R"(, "key_file": "/k")", "needs both");
    CHECK(refusal(R"({"kind": "etcd", "password_file": "/p"})").find("\"urls\" is missing") !=
          std::string::npos);
    CHECK(refusal(R"({"kind": "etcd", "password_file": "/p", "urls": []})").find("is no list of URLs") !=
          std::string::npos);
    CHECK(
        refusal(R"({"kind": "etcd", "password_file": "/p", "urls": ["http://a:1"]})").find("is not https") !=
        std::string::npos);
    CHECK(refusal(R"({"kind": "etcd", "urls": ["https://a:1"]})").find("\"password_file\" is missing") !=
          std::string::npos);
}

TEST_CASE("a folder and a server are read with what belongs to them") {
    const Settings folder = settings(R"({"kind": "folder", "folder": "/srv/fleet", "poll_s": 60})");
    CHECK(folder.kind == Settings::Kind::folder);
    CHECK(folder.folder == "/srv/fleet");
    CHECK(folder.poll == std::chrono::seconds(60));
    const Settings server = settings(https + R"(, "pins": [")" + pin + R"("]})");
    CHECK(server.kind == Settings::Kind::https);
    CHECK(server.url == "https://h/v1");
    CHECK(server.token_file == "/t");
    CHECK(server.trust.pins.size() == 1);
    CHECK(server.poll == std::chrono::seconds(300));
    CHECK(settings(https + R"(, "ca_file": "/ca"})").trust.ca_file == "/ca");
}

TEST_CASE("a variable goes before the file, and is named where it is wrong") {
    const std::string file = R"({"kind": "folder", "folder": "/a", "poll_s": 60})";
    const Settings over =
        settings(file, {{"BLOCKHOST_AGENT_HUB_FOLDER", "/b"}, {"BLOCKHOST_AGENT_HUB_POLL_S", "90"}});
    CHECK(over.folder == "/b");
    CHECK(over.poll == std::chrono::seconds(90));
    CHECK(settings(file, {{"BLOCKHOST_AGENT_HUB_FOLDER", ""}}).folder == "/a");
    CHECK(refusal(file, {{"BLOCKHOST_AGENT_HUB_POLL_S", "soon"}}) ==
          "BLOCKHOST_AGENT_HUB_POLL_S is no whole number of seconds from 60 to 3600");
    const Settings alone = settings("", {{"BLOCKHOST_AGENT_HUB_KIND", "https"},
                                         {"BLOCKHOST_AGENT_HUB_URL", "https://h"},
                                         {"BLOCKHOST_AGENT_HUB_TOKEN_FILE", "/t"},
                                         {"BLOCKHOST_AGENT_HUB_PINS", pin + ", " + pin}});
    CHECK(alone.trust.pins.size() == 2);
}

TEST_CASE("each value says where it comes from") {
    std::vector<Origin> origins;
    settings(R"({"kind": "folder", "folder": "/a"})", {{"BLOCKHOST_AGENT_HUB_FOLDER", "/b"}}, &origins);
    std::map<std::string, std::pair<std::string, std::string>> told;
    for (const Origin& each : origins) told[each.member] = {json::python_line(each.value), each.from};
    using Told = std::pair<std::string, std::string>;
    CHECK(told.at("kind") == Told("\"folder\"", "agent.json"));
    CHECK(told.at("folder") == Told("\"/b\"", "BLOCKHOST_AGENT_HUB_FOLDER"));
    CHECK(told.at("poll_s") == Told("300", "default"));
}

TEST_CASE("what makes no sense is refused") {
    for (const std::string& section :
         {std::string("[]"),
          std::string(R"({"kind": "ftp"})"),
          std::string(R"({"kind": 1})"),
          std::string(R"({"kind": "folder"})"),
          std::string(R"({"kind": "folder", "folder": "a"})"),
          std::string(R"({"kind": "folder", "folder": ""})"),
          std::string(R"({"kind": "folder", "folder": "/a", "url": "https://h"})"),
          std::string(R"({"kind": "folder", "folder": "/a", "poll_s": 59})"),
          std::string(R"({"kind": "folder", "folder": "/a", "poll_s": 3601})"),
          std::string(R"({"kind": "folder", "folder": "/a", "colour": 1})"),
          std::string(R"({"kind": "https", "url": "https://h"})"),
          std::string(R"({"kind": "https", "token_file": "/t"})"),
          std::string(R"({"kind": "https", "url": "http://h", "token_file": "/t"})"),
          std::string(R"({"kind": "https", "url": "https://u:p@h", "token_file": "/t"})"),
          std::string(R"({"kind": "https", "url": "https://h/", "token_file": "/t"})"),
          std::string(R"({"kind": "https", "url": "https://h?x=1", "token_file": "/t"})"),
          std::string(R"({"kind": "https", "url": "https://h", "token_file": "t"})"),
          https + R"(, "pins": []})",
          https + R"(, "pins": ["x"]})",
          https + R"(, "pins": "x"})",
          https + R"(, "pins": [")" + pin + R"("], "ca_file": "/ca"})",
          https + R"(, "folder": "/a"})"}) {
        CAPTURE(section);
        CHECK_FALSE(refusal(section).empty());
    }
}
