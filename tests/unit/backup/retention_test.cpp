// SPDX-License-Identifier: MIT
// Which backups stay, and when one is due.
#include "backup/policies.hpp"

#include "base/text/strict_json.hpp"
#include "tests/unit/backup/support.hpp"

#include <fmt/format.h>
#include <map>

using namespace blockhost;
using namespace blockhost::backup;
using namespace std::chrono_literals;

namespace {

const InstanceId own = *InstanceId::try_parse(std::string(32, 'a'));
const std::string first_uuid = "11111111-2222-4333-8444-555555555555",
                  second_uuid = "22222222-2222-4333-8444-555555555555";

Instant at(const std::string& text) {
    constexpr std::size_t to_the_minute = 16;
    return *parse_instant(text.size() == to_the_minute ? text + ":00" : text);
}

Found found(const std::string& taken_at, bool is_whole = true, const std::string& uuid = first_uuid,
            const InstanceId& instance = own) {
    static unsigned count = 0;
    return {{fmt::format("{:064x}", ++count), at(taken_at), VmName("web-001"), *Uuid::try_parse(uuid),
             *OperationId::try_parse("aaaaaaaa12345678"), instance},
            is_whole};
}

/// The fates as "2026-03-01": "goes: why", by the time at which the backup was taken.
std::map<std::string, std::string> fates(const std::vector<Found>& all, const Rule& rule,
                                         const std::string& when,
                                         std::chrono::days keep_destroyed = std::chrono::days(30)) {
    std::map<std::string, std::string> said;
    for (const Fate& each : decide_fates(
             all, own, [&](const Backup&) { return rule; }, keep_destroyed, at(when)))
        said[format_instant(each.backup.taken_at)] = (each.goes ? "goes: " : "stays: ") + each.why;
    REQUIRE(said.size() == all.size());
    return said;
}

Policies read(const std::string& text) {
    const auto document = json::parse_strictly(text, "it");
    json::Fields fields(document, "it");
    Policies policies = policies_in(fields);
    fields.finish();
    return policies;
}

} // namespace

TEST_CASE("of each day, week and month that has backups the newest stays, as far as they are counted") {
    std::vector<Found> all;
    // Friday 2026-01-02 to Tuesday 2026-03-31, two a day
    for (auto day = std::chrono::sys_days(2026y / 1 / 2); day <= std::chrono::sys_days(2026y / 3 / 31);
         day += std::chrono::days(1))
        for (const auto hour : {1h, 20h}) {
            all.push_back(found("2026-01-01"));
            all.back().backup.taken_at = Instant(day) + hour;
        }
    const auto said = fates(all, {.keep = {.last = 2, .daily = 3, .weekly = 4, .monthly = 2}}, "2026-04-01");
    std::vector<std::string> stay;
    for (const auto& [taken, fate] : said)
        if (fate.starts_with("stays")) stay.push_back(taken.substr(5, 8) + " " + fate.substr(7));
    CHECK(stay == std::vector<std::string>{
                      "02-28T20 monthly 2026-02", "03-15T20 weekly 2026-W11", "03-22T20 weekly 2026-W12",
                      "03-29T20 daily 2026-03-29, weekly 2026-W13", "03-30T20 daily 2026-03-30",
                      "03-31T01 last", "03-31T20 last, daily 2026-03-31, weekly 2026-W14, monthly 2026-03"});
    CHECK(said.at("2026-01-02T01:00:00+00:00") == "goes: no policy wants it");
}

TEST_CASE("a week belongs to the year of its Thursday") {
    const Rule rule{.keep = {.last = 0, .daily = 0, .weekly = 9, .monthly = 0}};
    const auto said = fates({found("2025-12-28"), found("2025-12-29"), found("2026-01-04"),
                             found("2026-01-05"), found("2027-01-03")},
                            rule, "2027-02-01");
    CHECK(said.at("2025-12-28T00:00:00+00:00") == "stays: weekly 2025-W52");
    CHECK(said.at("2025-12-29T00:00:00+00:00") == "goes: no policy wants it");
    CHECK(said.at("2026-01-04T00:00:00+00:00") == "stays: weekly 2026-W01");
    CHECK(said.at("2026-01-05T00:00:00+00:00") == "stays: weekly 2026-W02");
    CHECK(said.at("2027-01-03T00:00:00+00:00") == "stays: weekly 2026-W53");
}

TEST_CASE("days without a backup are not counted: a VM that was off for a year keeps as many") {
    const auto said = fates({found("2024-01-01"), found("2024-01-02"), found("2024-01-03")},
                            {.keep = {.last = 0, .daily = 2, .weekly = 0, .monthly = 0}}, "2026-01-01");
    CHECK(said.at("2024-01-03T00:00:00+00:00") == "stays: daily 2024-01-03");
    CHECK(said.at("2024-01-02T00:00:00+00:00") == "stays: daily 2024-01-02");
    CHECK(said.at("2024-01-01T00:00:00+00:00") == "goes: no policy wants it");
}

TEST_CASE("what is young enough stays, however many there are") {
    const auto said = fates({found("2026-01-01"), found("2026-01-02T01:00"), found("2026-01-02T02:00")},
                            {.keep = {.last = 0, .daily = 0, .weekly = 0, .monthly = 0, .within_days = 10}},
                            "2026-01-11T12:00");
    CHECK(said.at("2026-01-02T01:00:00+00:00") == "stays: within 10 days");
    CHECK(said.at("2026-01-01T00:00:00+00:00") == "goes: no policy wants it");
}

TEST_CASE("the last whole backup stays, and an incomplete one counts for nothing") {
    const Rule nothing{.keep = {.last = 0, .daily = 0, .weekly = 0, .monthly = 0}};
    auto said =
        fates({found("2026-01-01"), found("2026-01-02"), found("2026-01-03", false)}, nothing, "2026-02-01");
    CHECK(said.at("2026-01-02T00:00:00+00:00") == "stays: the last whole one");
    CHECK(said.at("2026-01-01T00:00:00+00:00") == "goes: no policy wants it");
    CHECK(said.at("2026-01-03T00:00:00+00:00") == "goes: incomplete");

    said = fates({found("2026-01-01"), found("2026-01-02", false)}, {.keep = {.last = 1, .daily = 0}},
                 "2026-01-02T23:00");
    CHECK(said.at("2026-01-01T00:00:00+00:00").starts_with("stays: last"));
    CHECK(said.at("2026-01-02T00:00:00+00:00") == "stays: incomplete, or being taken");

    said = fates({found("2026-01-01", false), found("2026-01-02", false)}, nothing, "2026-02-01");
    for (const auto& [taken, fate] : said) CHECK(fate == "stays: incomplete, but the VM has no whole one");
}

TEST_CASE("a namesake is another VM, and another host's backups are left alone") {
    const Rule one{.keep = {.last = 1, .daily = 0, .weekly = 0, .monthly = 0}};
    const auto said =
        fates({found("2026-01-01"), found("2026-01-02"), found("2026-01-03", true, second_uuid),
               found("2025-01-01", true, first_uuid, *InstanceId::try_parse(std::string(32, 'b')))},
              one, "2026-02-01");
    CHECK(said.at("2026-01-01T00:00:00+00:00") == "goes: no policy wants it");
    CHECK(said.at("2026-01-02T00:00:00+00:00") == "stays: last");
    CHECK(said.at("2026-01-03T00:00:00+00:00") == "stays: last");
    CHECK(said.at("2025-01-01T00:00:00+00:00") == "stays: another host's");
}

TEST_CASE("a VM that is gone keeps its last backup for as long as was said, and nothing after") {
    const std::vector<Found> all{found("2026-01-01"), found("2026-01-02")};
    Rule gone{.keep = {.last = 1, .daily = 0, .weekly = 0, .monthly = 0}, .gone_since = at("2026-03-01")};
    auto said = fates(all, gone, "2026-03-31");
    CHECK(said.at("2026-01-01T00:00:00+00:00") == "goes: no policy wants it");
    CHECK(said.at("2026-01-02T00:00:00+00:00") == "stays: last");
    said = fates(all, gone, "2026-03-31T00:01");
    for (const auto& [taken, fate] : said) CHECK(fate == "goes: the VM is gone since 2026-03-01");
}

TEST_CASE("what was taken later than now stays, and pushes nothing out") {
    const Rule one{.keep = {.last = 1, .daily = 0, .weekly = 0, .monthly = 0}};
    const auto said =
        fates({found("2026-01-01"), found("2026-01-02"), found("2030-01-01")}, one, "2026-02-01");
    CHECK(said.at("2026-01-02T00:00:00+00:00") == "stays: last");
    CHECK(said.at("2026-01-01T00:00:00+00:00") == "goes: no policy wants it");
    CHECK(said.at("2030-01-01T00:00:00+00:00") == "stays: it was taken later than now");
}

TEST_CASE("a document without a word on policies means the usual ones") {
    const Policies usual = read("{}");
    CHECK(usual == Policies());
    CHECK(usual.for_vm(VmName("web-001")) == Policy{24h, Keep{2, 7, 4, 6, 0}});
    CHECK(usual.keep_destroyed == std::chrono::days(30));
    CHECK_FALSE(usual.append_only);
    CHECK_FALSE(usual.before_destroy);
}

TEST_CASE("policies are named, and a VM has one of its own") {
    const Policies policies =
        read(R"({"keep": {"last": 3}, "policy": "weekly", "vms": {"db": "often", "scratch": "none"},
                 "policies": {"often": {"every": "day", "keep": {"daily": 30, "within_days": 5}}, "monthly": {"every": "month"}},
                 "keep_destroyed_days": 10, "append_only": true, "before_destroy": true, "before_destroy_wait_days": 3})");
    CHECK(policies.for_vm(VmName("web-001")) == Policy{7 * 24h, Keep{3, 0, 0, 0, 0}});
    CHECK(policies.for_vm(VmName("db")) == Policy{24h, Keep{0, 30, 0, 0, 5}});
    CHECK(policies.for_vm(VmName("scratch")).every == 0h);
    CHECK(policies.by_name.at("monthly") == Policy{30 * 24h, Keep{3, 0, 0, 0, 0}});
    CHECK(policies.keep_destroyed == std::chrono::days(10));
    CHECK(policies.before_destroy_wait == std::chrono::days(3));
    CHECK(policies.append_only);
    CHECK(policies.before_destroy);
}

TEST_CASE("policies that mean nothing are refused") {
    for (const char* text :
         {R"({"keep": {}})", R"({"keep": {"last": 0}})", R"({"keep": {"last": -1}})",
          R"({"keep": {"hourly": 1}})", R"({"keep": null})", R"({"policy": "yearly"})",
          R"({"vms": {"web": "yearly"}})", R"({"vms": {"../x": "daily"}})",
          R"({"policies": {"a": {"every": "hour"}}})", R"({"policies": {"a": {}}})", R"({"policies": []})",
          R"({"keep_destroyed_days": 4000})", R"({"append_only": "yes"})"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(read(text), Error);
    }
}

TEST_CASE("a backup is due when the timer's next call would be too late") {
    const Policies daily;
    LastBackup last{.vm = VmName("web-001"), .taken_at = at("2026-01-01T01:45")};
    CHECK_FALSE(is_due(daily, last, at("2026-01-01T19:44")));
    CHECK(is_due(daily, last, at("2026-01-02T01:30"))); // the timer is not to the minute
    CHECK(is_due(daily, last, at("2026-01-05T09:00"))); // the host was off
    CHECK(is_due(daily, last, at("2025-12-30")));       // the clock was set back
    last.taken_at.reset();
    CHECK(is_due(daily, last, at("2026-01-01")));

    const Policies weekly = read(R"({"policy": "weekly"})"), none = read(R"({"policy": "none"})");
    last.taken_at = at("2026-01-01T01:45");
    CHECK_FALSE(is_due(weekly, last, at("2026-01-07T01:30")));
    CHECK(is_due(weekly, last, at("2026-01-08T01:30")));
    CHECK_FALSE(is_due(none, last, at("2030-01-01")));
}

TEST_CASE("where a VM's last backup comes before its destroy, one is due after its suspension") {
    const Policies policies = read(R"({"policy": "none", "before_destroy": true})");
    LastBackup last{.vm = VmName("web-001"), .suspended_at = at("2026-01-02"), .taken_at = at("2026-01-01")};
    CHECK(is_due(policies, last, at("2026-01-02T01:00")));
    last.taken_at = at("2026-01-02T00:30");
    CHECK_FALSE(is_due(policies, last, at("2026-01-02T01:00")));
    last.taken_at.reset();
    CHECK(is_due(policies, last, at("2026-01-02T01:00")));
}

TEST_CASE("a destroy waits for the last backup, up to a bound") {
    const std::chrono::days grace(7);
    const Instant suspended = at("2026-01-02");
    CHECK_FALSE(put_off_until(Policies(), suspended, {}, grace));
    const Policies policies = read(R"({"before_destroy": true, "before_destroy_wait_days": 3})");
    CHECK(put_off_until(policies, suspended, {}, grace) == at("2026-01-12"));
    CHECK(put_off_until(policies, suspended, at("2026-01-01"), grace) == at("2026-01-12"));
    CHECK_FALSE(put_off_until(policies, suspended, suspended, grace));
}

TEST_CASE("a backup is overdue by half a period, and a new VM's as much after it was made") {
    const Policies daily;
    LastBackup last{.vm = VmName("web-001"), .created_at = at("2026-01-01")};
    CHECK_FALSE(is_overdue(daily, last, at("2026-01-02T12:00")));
    CHECK(is_overdue(daily, last, at("2026-01-02T12:01")));
    last.taken_at = at("2026-01-02");
    CHECK_FALSE(is_overdue(daily, last, at("2026-01-03T12:00")));
    CHECK(is_overdue(daily, last, at("2026-01-03T12:01")));
    CHECK_FALSE(is_overdue(read(R"({"policy": "none"})"), last, at("2030-01-01")));
}
