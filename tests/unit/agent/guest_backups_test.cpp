// SPDX-License-Identifier: MIT
// Whose a guest's backup is, and which of them stay.
#include "agent/backups/guest_retention.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::agent;

namespace {

constexpr std::int64_t day = 86'400, noon = 1'795'867'200; // 2026-11-28T12:00:00Z
const Instant now_here{std::chrono::seconds(noon)};
const std::string id(32, 'a');

KnownBackup known(const std::string& guest, std::int64_t age_days, const std::string& operation = id) {
    KnownBackup backup;
    backup.stored.id = "local:backup/" + guest + "-" + std::to_string(age_days);
    backup.stored.guest = guest;
    backup.stored.made = noon - age_days * day;
    backup.operation = operation;
    return backup;
}

backup::Policies keep_last(unsigned count) {
    backup::Policies policies;
    for (auto& each : policies.by_name) each.second.keep = {count, 0, 0, 0, 0};
    return policies;
}

/// The volumes that go.
std::vector<std::string> going(const std::vector<KnownBackup>& all, const backup::Policies& policies) {
    std::vector<std::string> ids;
    for (const BackupFate& each : decide_fates(all, policies, now_here)) {
        CHECK_FALSE(each.why.empty());
        if (each.goes) ids.push_back(each.backup.stored.id);
    }
    return ids;
}

} // namespace

TEST_CASE("notes name the operation that made a backup, and nothing else does") {
    CHECK(operation_in(notes_of(id, "web")) == id);
    CHECK(operation_in(notes_of(id, "")) == id);
    CHECK(notes_of(id, "web") == "web, blockhost " + id);
    CHECK(notes_of(id, "{{cluster}}") == "blockhost " + id);
    CHECK(operation_in("blockhost of mine, blockhost " + id) == id);
    const std::vector<std::string> others{"",
                                          "blockhost ",
                                          "blockhost " + id + "a",
                                          "blockhost " + id.substr(1),
                                          "web " + id,
                                          "blockhost " + std::string(32, 'g'),
                                          "blockhost " + id + " "};
    for (const std::string& other : others) CHECK(operation_in(other).empty());
}

TEST_CASE("each guest counts for itself, and its newest whole backup stays whatever the policy says") {
    const std::vector<KnownBackup> all{known("100", 0), known("100", 1), known("100", 2), known("200", 500)};
    CHECK(going(all, keep_last(1)) == std::vector<std::string>{"local:backup/100-1", "local:backup/100-2"});
    CHECK(going(all, keep_last(0)) == std::vector<std::string>{"local:backup/100-1", "local:backup/100-2"});
    CHECK(going(all, keep_last(9)).empty());
    CHECK(going({}, keep_last(0)).empty());
}

TEST_CASE("what is somebody else's, protected, nobody's or of the future stays and counts for nothing") {
    auto foreign = known("100", 0, ""), guarded = known("100", 1), nobodys = known("", 1),
         future = known("100", -1), timeless = known("100", 7);
    guarded.stored.is_protected = true;
    timeless.stored.made = 0;
    const auto own = known("100", 3), older = known("100", 4);
    CHECK(going({foreign, guarded, nobodys, future, timeless, own, older}, keep_last(1)) ==
          std::vector<std::string>{older.stored.id});
}

TEST_CASE("a damaged backup goes once there is a whole one, and no sooner") {
    auto damaged = known("100", 2), whole = known("100", 3), fresh = known("100", 0);
    damaged.stored.verified = fresh.stored.verified = false;
    whole.stored.verified = true;
    CHECK(going({damaged, whole, fresh}, keep_last(1)) == std::vector<std::string>{damaged.stored.id});
    CHECK(going({damaged, fresh}, keep_last(1)).empty());
}

TEST_CASE("policies name a guest by its name or by its number, and the name counts first") {
    backup::Policies policies = keep_last(9);
    policies.by_name["one"] = {std::chrono::hours(24), {1, 0, 0, 0, 0}};
    auto one = known("100", 0), other = known("100", 1);
    one.name = other.name = "web";
    policies.of_vm = {{"100", "one"}};
    CHECK(going({one, other}, policies).size() == 1);
    policies.of_vm = {{"web", "one"}};
    CHECK(going({one, other}, policies).size() == 1);
    policies.of_vm = {{"web", "daily"}, {"100", "one"}};
    CHECK(going({one, other}, policies).empty());
}
