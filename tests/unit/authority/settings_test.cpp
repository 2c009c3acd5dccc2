// SPDX-License-Identifier: MIT
// What agent.json says about approvals.
#include "authority/settings.hpp"

#include "base/text/json.hpp"
#include "tests/unit/authority/keys.hpp"

using namespace blockhost;
using namespace blockhost::authority;

namespace {

AuthoritySettings read(const std::string& text) {
    return authority_settings(json::parse(text, "it"), "agent.json: authority");
}

std::string refused(const std::string& text) {
    const auto [code, sentence] = refusal([&] { read(text); });
    CHECK(code == Code::config);
    return sentence;
}

} // namespace

TEST_CASE("without settings nobody may sign, and what is destructive waits three days") {
    const AuthoritySettings settings = read("{}");
    CHECK(settings.allowed_signers.empty());
    CHECK(settings.revoked.empty());
    CHECK(settings.gate.require == RequireSignatures::destructive);
    CHECK(settings.gate.window == std::chrono::hours(72));
    CHECK(settings.gate.roles.all.size() == 2);
    CHECK(settings.gate.roles.two_signers.empty());
}

TEST_CASE("every setting is read") {
    const AuthoritySettings settings = read(R"({
        "allowed_signers": "/etc/a", "revoked": "/etc/r", "require_signatures": "all", "window_hours": 5,
        "roles": {"operator": {"principals": ["alice", "bob"]},
                  "janitor": {"principals": ["jo"], "changes": ["delete-backup"]}},
        "two_signers": ["destroy"]})");
    CHECK(settings.allowed_signers == "/etc/a");
    CHECK(settings.revoked == "/etc/r");
    CHECK(settings.gate.require == RequireSignatures::all);
    CHECK(settings.gate.window == std::chrono::hours(5));
    REQUIRE(settings.gate.roles.all.size() == 3);
    CHECK(settings.gate.roles.all[0].principals == std::vector<std::string>{"alice", "bob"});
    CHECK(settings.gate.roles.all[0].changes.size() == change_names().size());
    CHECK(settings.gate.roles.all[2].changes == std::vector<std::string>{"delete-backup"});
    CHECK(settings.gate.roles.two_signers == std::set<std::string>{"destroy"});
}

TEST_CASE("what is wrong in it is named") {
    CHECK(refused("[]") == "agent.json: authority is no JSON object");
    CHECK(refused(R"({"allowed_signers": "a"})") ==
          "agent.json: authority: member \"allowed_signers\" is no absolute path");
    CHECK(refused(R"({"require_signatures": "none"})") ==
          "agent.json: authority: member \"require_signatures\" is neither \"all\" nor \"destructive\"");
    CHECK(refused(R"({"window_hours": 0})").find("from 1 to 720") != std::string::npos);
    CHECK(refused(R"({"colour": 1})") == "agent.json: authority: member \"colour\" is unknown");
    CHECK(refused(R"({"two_signers": ["explode"]})").find("\"explode\", which is no change") !=
          std::string::npos);
    CHECK(refused(R"({"roles": {"janitor": {"principals": []}}})") ==
          "agent.json: authority.roles.janitor: member \"changes\" is missing");
    // What the built-in ones may sign is not to be widened.
    CHECK(refused(R"({"roles": {"recovery": {"principals": [], "changes": ["destroy"]}}})") ==
          "agent.json: authority.roles.recovery: member \"changes\" is unknown");
}
