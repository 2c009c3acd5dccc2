// SPDX-License-Identifier: MIT
// Actions as JSON: each kind comes back as it was, and nothing unknown is read.
#include "platform/action_json.hpp"

#include "base/error.hpp"
#include "base/text/json.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

using namespace blockhost;
using namespace blockhost::platform;

namespace {

GuestConfig full_config() {
    return {.name = "web",
            .cpus = 2,
            .memory_mib = 2048,
            .disk_mib = 10'240,
            .description = "a \"description\"\nof two lines, é",
            .tags = {"b", "a"},
            .start_on_boot = true,
            .is_protected = true,
            .details = {{"net0", "bridge=br0,model=virtio"}, {"ostype", "l26"}}};
}

GuestConfig plain_config() {
    GuestConfig config;
    config.name = "plain";
    return config;
}

/// At least one of each kind, in order; those with optional members with all and with none.
std::vector<Action> examples() {
    return {Start{},
            Stop{std::chrono::seconds(7), true},
            Stop{},
            Resume{},
            SetConfig{.digest = "d",
                      .name = {},
                      .description = {},
                      .cpus = {},
                      .memory_mib = {},
                      .tags = {},
                      .start_on_boot = {},
                      .is_protected = {}},
            SetConfig{.digest = "d",
                      .name = "n",
                      .description = "",
                      .cpus = 4,
                      .memory_mib = 1 << 20,
                      .tags = std::set<std::string>{"x"},
                      .start_on_boot = false,
                      .is_protected = true},
            Grow{20'480},
            Create{"template", full_config()},
            Create{"template", plain_config()},
            TakeSnapshot{"s1", "before"},
            RollBack{"s1"},
            DeleteSnapshot{"s1"},
            Backup{"main", "notes", true},
            Restore{"main:backup/1"},
            DeleteBackup{"main:backup/1"},
            Destroy{},
            SetFeatures{{"keyctl", "nesting"}},
            Mount{"/mnt/usb-1"},
            Unmount{"/mnt/usb-1"}};
}

std::string refusal(const std::string& text) {
    try {
        action_from_json(json::parse(text, "it"), "action");
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
        return error.message();
    }
    return "nothing";
}

} // namespace

TEST_CASE("the examples have every kind of action") {
    for (const ActionKind kind : action_kinds())
        CHECK(std::ranges::any_of(examples(), [&](const Action& each) { return kind_of(each) == kind; }));
}

TEST_CASE("each action comes back as it was written") {
    for (const Action& action : examples()) {
        const std::string text = json::python_line(to_json(action));
        CAPTURE(text);
        const Action read = action_from_json(json::parse(text, "it"), "action");
        CHECK(kind_of(read) == kind_of(action));
        CHECK(json::python_line(to_json(read)) == text);
    }
}

TEST_CASE("no member of an action is lost") {
    const auto text = [](const Action& action) { return json::python_line(to_json(action)); };
    CHECK(text(Stop{std::chrono::seconds(7), true}) == R"({"kind": "stop", "patience_s": 7, "force": true})");
    CHECK(text(Destroy{}) == R"({"kind": "destroy"})");
    CHECK(text(Grow{5}) == R"({"kind": "grow", "disk_mib": 5})");
    CHECK(text(TakeSnapshot{"s", "d"}) == R"({"kind": "snapshot", "snapshot": "s", "description": "d"})");
    CHECK(text(DeleteSnapshot{"s"}) == R"({"kind": "delete-snapshot", "snapshot": "s"})");
    CHECK(text(Backup{"r", "n", true}) ==
          R"({"kind": "backup", "repository": "r", "notes": "n", "is_protected": true})");
    CHECK(text(examples()[5]) ==
          R"({"kind": "set-config", "digest": "d", "name": "n", "description": "", "cpus": 4, )"
          R"("memory_mib": 1048576, "tags": ["x"], "start_on_boot": false, "is_protected": true})");
}

TEST_CASE("a configuration comes back as it was written") {
    CHECK(config_from_json(to_json(full_config()), "config") == full_config());
    const GuestConfig plain = plain_config();
    CHECK(json::python_line(to_json(plain)) == R"({"name": "plain"})");
    CHECK(config_from_json(to_json(plain), "config") == plain);
}

TEST_CASE("a target comes back as it was written") {
    const Target target{"web", "uuid:1"};
    CHECK(target_from_json(to_json(target), "target") == target);
    CHECK_THROWS_AS(target_from_json(json::parse(R"({"guest": "web"})", "it"), "target"), Error);
    CHECK_THROWS_AS(
        target_from_json(json::parse(R"({"guest": "web", "incarnation": "", "host": "x"})", "it"), "target"),
        Error);
}

TEST_CASE("a member that an action does not have is refused, for every kind") {
    for (const Action& action : examples()) {
        boost::json::object object = to_json(action);
        object["surplus"] = 1;
        CHECK(refusal(json::python_line(object)) == "action: member \"surplus\" is unknown");
    }
}

TEST_CASE("a member that an action needs and does not have is refused") {
    for (const Action& action : examples()) {
        const boost::json::object object = to_json(action);
        if (kind_of(action) == ActionKind::set_config) continue; // most of its members may be absent
        for (const auto& member : object) {
            boost::json::object without = object;
            without.erase(member.key());
            CHECK(refusal(json::python_line(without)) ==
                  "action: member \"" + std::string(member.key()) + "\" is missing");
        }
    }
    CHECK(refusal(R"({"kind": "set-config"})") == "action: member \"digest\" is missing");
}

TEST_CASE("what is no action is refused with its own sentence") {
    CHECK(refusal("[]") == "action is no JSON object");
    CHECK(refusal(R"({"kind": "explode"})") ==
          "action: member \"kind\" is \"explode\", which is no kind of action");
    CHECK(refusal(R"({"kind": 1})") == "action: member \"kind\" is no text");
    CHECK(refusal(R"({"kind": "grow", "disk_mib": -1})")
              .starts_with("action: member \"disk_mib\" is -1, and has to be from 0"));
    CHECK(refusal(R"({"kind": "grow", "disk_mib": 1.5})") ==
          "action: member \"disk_mib\" is no whole number");
    CHECK(refusal(R"({"kind": "create", "source": "t", "config": {"name": "x", "colour": "red"}})") ==
          "action.config: member \"colour\" is unknown");
    CHECK(refusal(R"({"kind": "set-config", "digest": "d", "tags": ["a", "a"]})") ==
          "action: member \"tags\" has one of its texts twice");
}
