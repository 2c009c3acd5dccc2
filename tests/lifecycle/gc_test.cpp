// SPDX-License-Identifier: MIT
/// What gc decides from a view, and the rules about who has paid.

#include "expiry/gc.hpp"
#include "safety/adopt.hpp"
#include "vm/expiry.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

constexpr auto day = 24h;
const Instant noon = *parse_instant("2026-11-22T12:00:00Z");

VmRecord record(const char* name, RecordStatus status, std::optional<Instant> expires_at,
                std::optional<Instant> suspended_at = {}) {
    VmRecord record{.name = VmName(name)};
    record.status = status;
    record.expires_at = expires_at;
    record.suspended_at = suspended_at;
    return record;
}

/// Which actions are decided for which object.
std::multimap<std::string, expiry::GcAction> decided(const expiry::GcView& view,
                                                     const expiry::GcRequest& request = {}) {
    std::multimap<std::string, expiry::GcAction> actions;
    for (const expiry::GcItem& item : expiry::decide_gc(view, request, noon))
        actions.emplace(item.object, item.action);
    return actions;
}

using Actions = std::multimap<std::string, expiry::GcAction>;

} // namespace

TEST_CASE("a VM is expired from the instant after its expiry") {
    CHECK_FALSE(is_expired(record("a", RecordStatus::active, noon), noon));
    CHECK(is_expired(record("a", RecordStatus::active, noon), noon + 1us));
    CHECK_FALSE(is_expired(record("a", RecordStatus::active, {}), noon));
    CHECK_FALSE(is_expired(record("a", RecordStatus::suspended, noon - day), noon));
    CHECK_FALSE(is_expired(record("a", RecordStatus::destroyed, noon - day), noon));
}

TEST_CASE("a VM is overdue when it is suspended, unpaid, and the grace is over") {
    const auto suspended = [](std::optional<Instant> since,
                              std::optional<Instant> expires_at = noon - 99 * day) {
        return record("a", RecordStatus::suspended, expires_at, since);
    };
    CHECK_FALSE(is_overdue(suspended(noon - 7 * day), 7, noon));
    CHECK(is_overdue(suspended(noon - 7 * day), 7, noon + 1us));
    CHECK(is_overdue(suspended(noon - 1us), 0, noon));
    CHECK_FALSE(is_overdue(suspended({}), 0, noon));
    CHECK_FALSE(is_overdue(suspended(noon - 99 * day, noon + 1us), 7, noon));
    CHECK(is_overdue(suspended(noon - 99 * day, noon), 7, noon));
    CHECK_FALSE(is_overdue(suspended(noon - 99 * day, std::nullopt), 7, noon));
    CHECK_FALSE(is_overdue(record("a", RecordStatus::active, {}, noon - 99 * day), 7, noon));
}

TEST_CASE("a resume keeps what was paid for") {
    CHECK(resumed_expiry(noon + 1us, {}, 30, noon) == noon + 1us);
    CHECK(resumed_expiry(noon, {}, 30, noon) == noon + 30 * day);
    CHECK(resumed_expiry({}, {}, 30, noon) == noon + 30 * day);
    CHECK(resumed_expiry(noon + 90 * day, 2, 30, noon) == noon + 2 * day);
}

TEST_CASE("gc decides by record, domain and time") {
    expiry::GcView view;
    view.records = {record("fresh", RecordStatus::active, noon + day),
                    record("expired", RecordStatus::active, noon - day),
                    record("dateless", RecordStatus::active, {}),
                    record("lost", RecordStatus::active, noon + day),
                    record("waiting", RecordStatus::suspended, noon - 9 * day, noon - day),
                    record("awake", RecordStatus::suspended, noon - 9 * day, noon - day),
                    record("overdue", RecordStatus::suspended, noon - 9 * day, noon - 8 * day),
                    record("paid", RecordStatus::suspended, noon + day, noon - 8 * day),
                    record("undated", RecordStatus::suspended, noon - 9 * day),
                    record("unread", RecordStatus::suspended, {}, noon - 99 * day),
                    record("open", RecordStatus::suspended, noon - 9 * day, noon - day),
                    record("gone", RecordStatus::destroyed, noon - 9 * day),
                    record("undead", RecordStatus::destroyed, noon - 9 * day)};
    view.bad_records = {"bad"};
    for (const char* name :
         {"fresh", "expired", "dateless", "awake", "paid", "undead", "orphan", "bad", "half"})
        view.domains.push_back({name, PowerState::running, true});
    view.domains.push_back({"waiting", PowerState::off, true});
    view.domains.push_back({"undated", PowerState::off, true});
    view.domains.push_back({"unread", PowerState::running, true});
    view.domains.push_back({"open", PowerState::off, true});
    view.startable = {"open", "paid"};
    view.bad_entries = {"odd"};
    view.domains.push_back({"odd", PowerState::running, true});
    view.domains.push_back({"theirs", PowerState::running, false});
    view.entries = {{VmName("half"), "create", true, noon}, {VmName("dead"), "destroy", false, noon - 1h}};
    CHECK(decided(view) == Actions{{"expired", expiry::GcAction::suspend},
                                   {"dateless", expiry::GcAction::report},
                                   {"lost", expiry::GcAction::report},
                                   {"awake", expiry::GcAction::hold_off},
                                   {"overdue", expiry::GcAction::destroy},
                                   {"paid", expiry::GcAction::report},
                                   {"undated", expiry::GcAction::report},
                                   {"unread", expiry::GcAction::report},
                                   {"open", expiry::GcAction::hold_off},
                                   {"odd", expiry::GcAction::report},
                                   {"undead", expiry::GcAction::report},
                                   {"bad", expiry::GcAction::report},
                                   {"orphan", expiry::GcAction::adopt},
                                   {"dead", expiry::GcAction::recover}});
    expiry::GcRequest only_suspend;
    only_suspend.destroy = false;
    CHECK(decided(view, only_suspend).count("overdue") == 0);
    expiry::GcRequest only_destroy;
    only_destroy.suspend = false;
    CHECK(decided(view, only_destroy).count("expired") == 0);
    CHECK(decided(view, only_destroy).count("awake") == 0);
}

TEST_CASE("what is interrupted comes first, and destruction after suspension") {
    expiry::GcView view;
    view.records = {record("overdue", RecordStatus::suspended, noon - 9 * day, noon - 8 * day),
                    record("expired", RecordStatus::active, noon - day)};
    view.entries = {{VmName("dead"), "create", false, noon}};
    const auto items = expiry::decide_gc(view, {}, noon);
    REQUIRE(items.size() == 3);
    CHECK(items[0].action == expiry::GcAction::recover);
    CHECK(items[1].action == expiry::GcAction::suspend);
    CHECK(items[1].age == std::chrono::seconds(day));
    CHECK(items[2].action == expiry::GcAction::destroy);
}

TEST_CASE("an address is released only with proof that has settled, and never one that is claimed") {
    const auto ip = [](const char* text) { return *Ipv4::try_parse(text); };
    expiry::GcView view;
    view.addresses = {{ip("10.0.0.1"), {}},
                      {ip("10.0.0.2"), noon - 11min},
                      {ip("10.0.0.3"), noon - 9min},
                      {ip("10.0.0.4"), noon - day}};
    view.claimed = {ip("10.0.0.4")};
    CHECK(decided(view) == Actions{{"10.0.0.1", expiry::GcAction::report},
                                   {"10.0.0.2", expiry::GcAction::release},
                                   {"10.0.0.3", expiry::GcAction::report}});
}

TEST_CASE("a record is made from a whole mark only, and never expires sooner than the grace") {
    DomainMark mark;
    mark.ip = Ipv4::try_parse("10.0.0.7");
    mark.wallet = "0xabc";
    mark.username = "admin";
    mark.network_mode = "none";
    mark.created_at = "2026-01-01T00:00:00+00:00";
    mark.expires_at = "2026-02-01T00:00:00+00:00";
    const auto record = safety::record_of(VmName("a"), mark, 7, noon);
    REQUIRE(record);
    CHECK(record->expires_at == noon + 7 * day);
    CHECK(record->created_at == parse_instant(mark.created_at));
    mark.expires_at = "2027-02-01T00:00:00+00:00";
    CHECK(safety::record_of(VmName("a"), mark, 7, noon)->expires_at == parse_instant(mark.expires_at));

    const auto without = [&](auto spoil) {
        DomainMark spoilt = mark;
        spoil(spoilt);
        return safety::record_of(VmName("a"), spoilt, 7, noon).has_value();
    };
    CHECK_FALSE(without([](DomainMark& m) { m.ip.reset(); }));
    CHECK_FALSE(without([](DomainMark& m) { m.wallet = "two words"; }));
    CHECK_FALSE(without([](DomainMark& m) { m.username = "Root"; }));
    CHECK_FALSE(without([](DomainMark& m) { m.network_mode.clear(); }));
    CHECK_FALSE(without([](DomainMark& m) { m.created_at = "soon"; }));
    CHECK_FALSE(without([](DomainMark& m) { m.expires_at = "never"; }));
}
