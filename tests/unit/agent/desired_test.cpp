// SPDX-License-Identifier: MIT
// Desired states: what is read, what is refused with its place, and what is warned of.
#include "agent/desired.hpp"

#include "base/field_error.hpp"
#include "tests/unit/agent/fake_platform.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;

namespace {

const char* const whole = R"({"version": 1, "host": "host-a", "generation": 42,
 "guests": {
   "web-001": {"power": "running", "name": "web", "cpus": 2, "memory_mib": 4096, "disk_gib": 40,
               "description": "one\n", "tags": ["B", "a"], "start_on_boot": true, "protected": false,
               "limits": {"cpu_percent": 150}, "owner_wallet": "0xabc", "expires_at": "2027-01-01T00:00:00Z",
               "source": {"template": "current"}, "backup": {"policy": "daily"}},
   "9001": {"kind": "container", "power": "stopped", "disk_mib": 2560, "source": {"backup": "local:backup/x"}},
   "old-007": {"power": "absent"}},
 "backup_policies": {"daily": {"at": "03:00", "keep": {"daily": 7, "weekly": 4, "monthly": 6}, "repository": "main",
                               "drill": "weekly"}},
 "storage": {"usb-1": {"kind": "usb", "uuid": "1A2B-3C4D", "mount": "/mnt/backup-1", "roles": ["backup"]}}})";

/// A document with one guest, "web", that is `guest`.
std::string with_guest(const std::string& guest, const std::string& more = "") {
    return R"({"version": 1, "host": "host-a", "generation": 1, "guests": {"web": )" + guest + "}" + more +
           "}";
}

std::vector<std::string> refused(const std::string& text, const Known& known = {}) {
    std::vector<std::string> all;
    try {
        parse_desired(text, "d.json", known);
    } catch (const FieldError& error) {
        CHECK(error.code() == Code::config);
        for (const BadField& each : error.fields()) {
            CHECK(each.message.starts_with("d.json:"));
            CHECK_FALSE(each.hint.empty());
            all.push_back(each.message);
        }
    } catch (const Error& error) {
        CHECK(error.message().starts_with("d.json:"));
        CHECK_FALSE(error.hint().empty());
        all.push_back(error.message());
    }
    return all;
}

std::string first(const std::string& text, const Known& known = {}) {
    const auto all = refused(text, known);
    return all.empty() ? "" : all.front();
}

} // namespace

TEST_CASE("a whole document is read") {
    const Desired desired = parse_desired(whole, "d.json");
    CHECK(desired.host == "host-a");
    CHECK(desired.generation == 42);
    CHECK(desired.digest.size() == 64);
    CHECK(desired.warnings.empty());
    REQUIRE(desired.guests.size() == 3);
    const WantedGuest& web = desired.guests[0];
    CHECK(web.id == "web-001");
    CHECK(web.place == "d.json:3:4");
    CHECK(web.power == WantedPower::running);
    CHECK(web.name == "web");
    CHECK(web.cpus == 2);
    CHECK(web.memory_mib == 4096);
    CHECK(web.disk_mib == 40 * 1024);
    CHECK(web.description == "one");
    CHECK(web.tags == std::set<std::string>{"a", "b"});
    CHECK(web.start_on_boot == true);
    CHECK(web.is_protected == false);
    CHECK(web.cpu_percent == 150);
    CHECK(web.owner_wallet == "0xabc");
    CHECK(format_instant(*web.expires_at) == "2027-01-01T00:00:00+00:00");
    CHECK(web.source == Source{Source::Kind::template_version, "current"});
    CHECK(web.backup_policy == "daily");
    CHECK_FALSE(web.kind);
    const WantedGuest& container = desired.guests[1];
    CHECK(container.kind == platform::Kind::container);
    CHECK(container.power == WantedPower::stopped);
    CHECK(container.disk_mib == 2560);
    CHECK(container.source == Source{Source::Kind::backup, "local:backup/x"});
    CHECK_FALSE(container.cpus);
    CHECK(desired.guests[2].power == WantedPower::absent);
    const BackupPolicy& daily = desired.backup_policies.at("daily");
    CHECK(daily.at == "03:00");
    CHECK(daily.keep_daily == 7);
    CHECK(daily.keep_weekly == 4);
    CHECK_FALSE(daily.keep_last);
    CHECK(daily.repository == "main");
    CHECK(daily.drill == BackupPolicy::Drill::weekly);
    const WantedStorage& usb = desired.storage.at("usb-1");
    CHECK(usb.uuid == "1A2B-3C4D");
    CHECK(usb.mount == "/mnt/backup-1");
    CHECK(usb.roles == std::set<std::string>{"backup"});
}

TEST_CASE("the smallest document names nobody") {
    const Desired desired = parse_desired(R"({"version": 1, "host": "a", "generation": 0})", "d.json");
    CHECK(desired.guests.empty());
}

TEST_CASE("a document of another version is refused for that alone") {
    CHECK(refused(R"({"version": 2, "guests": []})") ==
          std::vector<std::string>{"d.json:1:13: version is 2, and this program knows version 1"});
    CHECK(first(R"({"version": "1"})").starts_with("d.json:1:13: version is \"1\", where a whole number"));
    CHECK(refused("{}") == std::vector<std::string>{"d.json:1:1: version is missing"});
    CHECK(first("[]") == "d.json:1:1: the document is a list, where an object is expected");
}

TEST_CASE("host and generation are needed") {
    const auto all = refused(R"({"version": 1})");
    CHECK(all ==
          std::vector<std::string>{"d.json:1:1: host is missing", "d.json:1:1: generation is missing"});
    CHECK(first(R"({"version": 1, "host": "a/b", "generation": 1})") ==
          "d.json:1:24: host is no name: \"a/b\"");
    CHECK(first(R"({"version": 1, "host": "a", "generation": -1})")
              .starts_with("d.json:1:43: generation is -1"));
    CHECK(first(R"({"version": 1, "host": "a", "generation": 9007199254740992})")
              .starts_with("d.json:1:43: generation"));
}

TEST_CASE("a generation that was left behind does not come back") {
    const std::string text = R"({"version": 1, "host": "a", "generation": 7})";
    const std::string digest = parse_desired(text, "d.json").digest;
    CHECK(first(text, {.generation = 6}).empty());
    CHECK(first(text, {.generation = 7, .digest = digest}).empty());
    CHECK(first(text, {.generation = 7}).empty());
    CHECK(first(text, {.generation = 7, .digest = "another"}) ==
          "d.json:1:43: another document of generation 7 was accepted already");
    CHECK(first(text, {.generation = 8}) ==
          "d.json:1:43: the document is of generation 7, and generation 8 was accepted already");
    try {
        parse_desired(text, "d.json", {.generation = 8});
    } catch (const Error& error) {
        CHECK(error.code() == Code::wrong_state);
    }
}

TEST_CASE("wrong values of a guest are told by field and place, all at once") {
    for (const auto& [guest, words] : {
             std::pair(R"({"power": "on"})",
                       "guests.web.power is \"on\", where one of running, stopped, absent is expected"),
             std::pair(R"({"kind": "lxc"})",
                       "guests.web.kind is \"lxc\", where one of vm, container is expected"),
             std::pair(R"({"cpus": 0})",
                       "guests.web.cpus is 0, where a whole number from 1 to 8192 is expected"),
             std::pair(R"({"cpus": "2"})",
                       "guests.web.cpus is \"2\", where a whole number from 1 to 8192 is expected"),
             std::pair(R"({"cpus": null})",
                       "guests.web.cpus is null, where a whole number from 1 to 8192 is expected"),
             std::pair(R"({"memory_mib": 15})",
                       "guests.web.memory_mib is 15, where a whole number from 16 to 16777216 is expected"),
             std::pair(R"({"disk_gib": 1.5})",
                       "guests.web.disk_gib is 1.5E0, where a whole number from 1 to 65536 is expected"),
             std::pair(R"({"disk_gib": 1, "disk_mib": 1024})",
                       "guests.web.disk_mib and disk_gib both give the disk's size"),
             std::pair(R"({"tags": ["a b"]})", "guests.web.tags has something that is no tag: \"a b\""),
             std::pair(R"({"tags": "a"})", "guests.web.tags is \"a\", where a list of texts is expected"),
             std::pair(R"({"tags": [1]})",
                       "guests.web.tags is 1, where a text of at most 256 bytes is expected"),
             std::pair(R"({"name": "a b"})", "guests.web.name is no name: \"a b\""),
             std::pair(R"({"protected": 1})", "guests.web.protected is 1, where true or false is expected"),
             std::pair(
                 R"({"limits": {"cpu_percent": 0}})",
                 "guests.web.limits.cpu_percent is 0, where a whole number from 1 to 51200 is expected"),
             std::pair(R"({"owner_wallet": "a b"})",
                       "guests.web.owner_wallet is no wallet's address: \"a b\""),
             std::pair(R"({"expires_at": "tomorrow"})", "guests.web.expires_at is no moment: \"tomorrow\""),
             std::pair(R"({"source": {}})",
                       "guests.web.source needs one of template and backup, and not both"),
             std::pair(R"({"source": {"template": "a", "backup": "b"}})",
                       "guests.web.source needs one of template and backup, and not both"),
             std::pair(R"({"source": {"template": "a\nb"}})",
                       "guests.web.source names nothing that can be written on one line"),
             std::pair(R"({"backup": {}})", "guests.web.backup.policy is missing"),
             std::pair(R"({"backup": {"policy": "daily"}})",
                       "guests.web.backup.policy names daily, which is none of backup_policies"),
             std::pair(R"([])", "guests.web is a list, where an object is expected"),
         }) {
        CAPTURE(guest);
        const auto all = refused(with_guest(guest));
        REQUIRE(all.size() == 1);
        CHECK(all.front().substr(all.front().find(": ") + 2) == words);
    }
    CHECK(refused(with_guest(R"({"cpus": 0, "memory_mib": 0, "power": "on"})")).size() == 3);
    CHECK(first(with_guest("{\n  \"cpus\": 0}")).starts_with("d.json:2:11: "));
}

TEST_CASE("who is to be absent has no other wish") {
    CHECK(first(with_guest(R"({"power": "absent", "cpus": 2, "tags": []})")) ==
          "d.json:1:79: guests.web.power is absent, but there are other wishes, too: cpus, tags");
    CHECK(first(with_guest(R"({"power": "absent", "kind": "vm"})")).empty());
}

TEST_CASE("names of guests, policies and storage are names") {
    const std::string head = R"({"version": 1, "host": "a", "generation": 1, )";
    CHECK(first(head + R"("guests": {"../x": {}}})") == "d.json:1:57: guests.../x is no name");
    CHECK(first(head + R"("guests": {"": {}}})") == "d.json:1:57: guests has a member without a name");
    CHECK(first(head + R"("backup_policies": {"a b": {}}})") ==
          "d.json:1:66: backup_policies.a b is no name");
    CHECK(first(head + R"("storage": {"\u0000": {}}})").starts_with("d.json:1:58: storage."));
    CHECK(first(head + R"("guests": {"a": {}, "a": {}}})") == "d.json:1:66: \"a\" stands here a second time");
}

TEST_CASE("a policy says when, where to and how many") {
    const auto policy = [](const std::string& body) {
        return R"({"version": 1, "host": "a", "generation": 1, "backup_policies": {"p": )" + body + "}}";
    };
    CHECK(refused(policy("{}")).size() == 3);
    const std::string rest = R"(, "keep": {"daily": 1}, "repository": "main"})";
    for (const char* time : {"24:00", "3:00", "03:60", "-1:00", "03:-1", "03.00", "0300"})
        CHECK(first(policy(R"({"at": ")" + std::string(time) + "\"" + rest))
                  .ends_with("is no time of day: \"" + std::string(time) + "\""));
    CHECK(first(policy(R"({"at": "23:59")" + rest)).empty());
    CHECK(first(policy(R"({"at": "23:59", "keep": {}, "repository": "main"})"))
              .ends_with("keep keeps nothing"));
    CHECK(first(policy(R"({"at": "23:59", "keep": {"daily": 0}, "repository": "main"})"))
              .find("keep.daily is 0") != std::string::npos);
    const Known known{
        .generation = {}, .digest = {}, .repositories = std::set<std::string>{"usb", "off-site"}};
    CHECK(first(policy(R"({"at": "23:59")" + rest), known)
              .ends_with("backup_policies.p.repository names main, which this host does not have"));
    CHECK(first(policy(R"({"at": "23:59", "keep": {"last": 1}, "repository": "usb"})"), known).empty());
}

TEST_CASE("storage is a disk with a UUID, at a place of its own") {
    const auto storage = [](const std::string& body) {
        return R"({"version": 1, "host": "a", "generation": 1, "storage": {"usb-1": )" + body + "}}";
    };
    CHECK(refused(storage("{}")).size() == 3);
    CHECK(first(storage(R"({"kind": "usb", "uuid": "x", "mount": "/mnt/a"})"))
              .ends_with("storage.usb-1.uuid is wrong: \"x\" is no UUID of a file system"));
    CHECK(first(storage(R"({"kind": "usb", "uuid": "1A2B-3C4D", "mount": "/etc"})"))
              .ends_with("storage.usb-1.mount is wrong: \"/etc\" is no mount point for a disk"));
    CHECK(first(storage(R"({"kind": "nfs", "uuid": "1A2B-3C4D", "mount": "/mnt/a"})"))
              .find("storage.usb-1.kind is \"nfs\"") != std::string::npos);
}

TEST_CASE("keys that nobody knows are warned of at every level") {
    const Desired desired = parse_desired(
        R"({"version": 1, "host": "a", "generation": 1, "colour": 1, "guests": {"web": {"memory": 1, "limits": {"x": 1},
            "backup": {"policy": "p", "y": 1}, "source": {"template": "current", "w": 1}}},
            "backup_policies": {"p": {"at": "03:00", "keep": {"last": 1, "hourly": 2}, "repository": "r", "z": 1}},
            "storage": {"s": {"kind": "usb", "uuid": "1A2B-3C4D", "mount": "/mnt/a", "v": 1}}})",
        "d.json");
    REQUIRE(desired.warnings.size() == 8);
    for (const char* each :
         {"colour", "guests.web.memory", "guests.web.limits.x", "guests.web.backup.y", "guests.web.source.w",
          "backup_policies.p.keep.hourly", "backup_policies.p.z", "storage.s.v"})
        CHECK(std::any_of(desired.warnings.begin(), desired.warnings.end(), [&](const std::string& warning) {
            return warning.find(std::string(": ") + each + " is not known, and ignored") != std::string::npos;
        }));
}

TEST_CASE("a document for another host is refused, and so are guests that cannot be here") {
    platform::FakePlatform platform;
    const platform::Host host = platform.host();
    const auto refusal = [&](const std::string& text) -> std::string {
        try {
            require_fits(parse_desired(text, "d.json"), platform, host);
        } catch (const Error& error) {
            CHECK(error.code() == Code::config);
            return error.message();
        }
        return "";
    };
    CHECK(refusal(R"({"version": 1, "host": "host-b", "generation": 1})") ==
          "the document is for the host host-b, and this is host-a");
    CHECK(refusal(with_guest(R"({"kind": "container"})")) == "d.json:1:62: web is no VM");
    CHECK(refusal(with_guest(R"({"kind": "vm"})")).empty());
}
