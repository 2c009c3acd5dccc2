// SPDX-License-Identifier: MIT
/// Database and choose_addresses: records, address lists, and what other programs keep in the file.

#include "base/error.hpp"
#include "registry/registry.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;

namespace {

Ipv4 v4(const char* text) {
    return Ipv4::try_parse(text).value();
}
Ipv6 v6(const char* text) {
    return Ipv6::try_parse(text).value();
}
Instant at(const char* text) {
    return parse_instant(text).value();
}

NewRecord new_record(const char* name = "web-1", const char* ip = "192.168.122.200") {
    return {.name = VmName(name),
            .wallet = Wallet("0xAbC", ""),
            .username = Username("admin"),
            .ip = v4(ip),
            .ipv6 = v6("2a11:6c7::5"),
            .network_mode = "broker",
            .created_at = at("2026-02-01T10:00:00.000123Z"),
            .expires_at = at("2026-03-03T10:00:00.000123Z")};
}

Database database(std::string_view text) {
    return Database(JsonTree::parse(std::string(text)));
}

/// One record's members as JSON, with what every record needs.
std::string record(std::string_view status, std::string_view ip, std::string_view more = "") {
    return R"({"status": ")" + std::string(status) + R"(", "ip_address": ")" + std::string(ip) + '"' +
           std::string(more) + "}";
}

Code code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("nothing was thrown");
    return Code::internal;
}

std::string written(const Database& database, std::string_view key) {
    const JsonTree* value = database.tree().get(key);
    return value ? value->write() : "";
}

Ipv4Pool pool(const char* network, const char* first, const char* last, const char* gateway = nullptr) {
    return {Ipv4Network::try_parse(network).value(), v4(first), v4(last),
            gateway ? std::optional(v4(gateway)) : std::nullopt};
}

Ipv4 chosen4(const Database& db, const Ipv4Pool& pool, const std::vector<Ipv4>& taken = {}) {
    return choose_addresses(db, pool, taken, {}, std::nullopt, 2, 254).ip;
}

std::string chosen6(const Database& db, const char* prefix, std::uint64_t first, std::uint64_t last) {
    const auto ipv6 = choose_addresses(db, pool("10.0.0.0/8", "10.0.0.1", "10.0.0.9"), {}, {},
                                       Ipv6Prefix::try_parse(prefix).value(), first, last)
                          .ipv6;
    return ipv6 ? ipv6->str() : "none";
}

} // namespace

TEST_CASE("A new record has the contract's keys in the contract's order") {
    Database db = Database::empty();
    db.add(new_record());
    CHECK(db.tree().write() == R"({
  "vms": {
    "web-1": {
      "vm_name": "web-1",
      "vmid": 0,
      "ip_address": "192.168.122.200",
      "ipv6_address": "2a11:6c7::5",
      "expires_at": "2026-03-03T10:00:00.000123+00:00",
      "owner": "0xAbC",
      "status": "active",
      "created_at": "2026-02-01T10:00:00.000123+00:00",
      "purpose": "",
      "wallet_address": "0xAbC",
      "username": "admin",
      "network_mode": "broker"
    }
  },
  "next_vmid": 1,
  "allocated_ips": [
    "192.168.122.200"
  ],
  "allocated_ipv6": [
    "2a11:6c7::5"
  ]
})");
}

TEST_CASE("A record without IPv6 has an empty text, not null, and adds nothing to the IPv6 list") {
    Database db = database("{}");
    NewRecord record = new_record();
    record.ipv6.reset();
    db.add(record);
    CHECK(db.tree().get("vms")->get("web-1")->get("ipv6_address")->as_string() == "");
    CHECK_FALSE(db.tree().get("allocated_ipv6"));
    CHECK(written(db, "next_vmid") == "1");
}

TEST_CASE("The next vmid only ever leaves zero") {
    const auto next = [](const std::string& value) {
        Database db = database("{\"next_vmid\": " + value + "}");
        db.add(new_record());
        return written(db, "next_vmid");
    };
    CHECK(next("0") == "1");
    CHECK(next("1") == "1");
    CHECK(next("100") == "100");
    CHECK(next("-3") == "1");
    CHECK(next("18446744073709551616") == "18446744073709551616");
    CHECK(code_of([&] { next("null"); }) == Code::registry);
}

TEST_CASE("Adding replaces a destroyed record whole, in its place, and refuses a live one") {
    const std::string others = R"(, "b": )" + record("active", "10.0.0.2");
    Database db = database(R"({"vms": {"web-1": )" +
                           record("destroyed", "10.0.0.1", R"(, "nft_token_id": 9)") + others + "}}");
    db.add(new_record());
    const auto& members = db.tree().get("vms")->members();
    CHECK(members[0].first == "web-1");
    CHECK(members[0].second.members().size() == 12);
    CHECK_FALSE(members[0].second.get("nft_token_id"));
    CHECK_THROWS_WITH(db.add(new_record()),
                      Catch::StartsWith("VM already exists in database: web-1 (status: active)"));
    CHECK(code_of([&] { db.add(new_record("b")); }) == Code::exists);
    Database odd = database(R"({"vms": {"web-1": )" + record("frozen", "10.0.0.1") + "}}");
    CHECK(code_of([&] { odd.add(new_record()); }) == Code::registry);
}

TEST_CASE("A record is found with the file's own spellings, and its dates are read") {
    const Database db = database(R"({"vms": {"web-1": {"status": "suspended", "ip_address": "10.0.0.7",
        "ipv6_address": "2A11:06c7:0::7", "created_at": "2026-01-02 03:04:05", "expires_at": "2026-02-01T00:00:00Z",
        "suspended_at": "2026-02-01T00:00:01.5+01:00", "owner": "addr_test1q", "username": "joe",
        "network_mode": "onion", "beacon_name": "x"}}})");
    const auto found = db.find(VmName("web-1"));
    REQUIRE(found);
    CHECK(found->name.str() == "web-1");
    CHECK(found->status == RecordStatus::suspended);
    CHECK(found->ip == v4("10.0.0.7"));
    CHECK(found->ipv6 == v6("2a11:6c7::7"));
    CHECK(found->ip_text == "10.0.0.7");
    CHECK(found->created_text == "2026-01-02 03:04:05");
    CHECK(found->created_at == at("2026-01-02T03:04:05Z"));
    CHECK(found->expires_at == at("2026-02-01T00:00:00Z"));
    CHECK(found->suspended_at == at("2026-01-31T23:00:01.5Z"));
    CHECK(found->owner == "addr_test1q");
    CHECK(found->username == "joe");
    CHECK(found->network_mode == "onion");
    CHECK_FALSE(db.find(VmName("web-2")));
    CHECK_FALSE(database("{}").find(VmName("web-1")));
}

TEST_CASE("Bad records are named and hide no good one") {
    const Database db =
        database(R"({"vms": {"../etc": )" + record("active", "10.0.0.1") + R"(, "a": )" +
                 record("active", "not an address", R"(, "created_at": 7, "expires_at": "soon")") +
                 R"(, "list": [1], "null": null, "frozen": )" + record("frozen", "10.0.0.1") +
                 R"(, "nostatus": {}, "\ud800": {}, "b": )" + record("destroyed", "") + "}}");
    std::vector<std::string> bad;
    const auto records = db.records(&bad);
    REQUIRE(records.size() == 2);
    CHECK(records[0].name.str() == "a");
    CHECK_FALSE(records[0].ip);
    CHECK_FALSE(records[0].created_at);
    CHECK_FALSE(records[0].expires_at);
    CHECK(records[0].ip_text == "not an address");
    CHECK(records[1].name.str() == "b");
    CHECK(bad == std::vector<std::string>{"../etc", "list", "null", "frozen", "nostatus", "\\xed\\xa0\\x80"});
    CHECK(db.records().size() == 2);
    CHECK(code_of([&] { db.find(VmName("frozen")); }) == Code::registry);
    CHECK(code_of([&] { db.find(VmName("list")); }) == Code::registry);
}

TEST_CASE("Names and statuses are those of the records that can be read") {
    const Database database(JsonTree::parse(R"({"vms": {
        "web-1": {"status": "active", "tags": ["status", {"status": "destroyed"}], "status_note": "suspended"},
        "web-2": {"deep": {"status": "active"}, "x": NaN, "status": "suspended", "y": null},
        "twice": {"status": "active"}, "old": {"status": "destroyed", "z": true},
        "a b": {"status": "active"}, "odd": {"status": "unheard-of"}, "none": {}, "number": {"status": 3},
        "list": {"status": ["active"]}, "esc\u0061pe": {"st\u0061tus": "acti\u0076e"}, "text": "active",
        "twice": {"status": "active", "status": "suspended"}},
        "others": {"not-a-vm": {"status": "active"}}})"));
    const std::vector<std::pair<VmName, RecordStatus>> wanted{{VmName("web-1"), RecordStatus::active},
                                                              {VmName("web-2"), RecordStatus::suspended},
                                                              {VmName("old"), RecordStatus::destroyed},
                                                              {VmName("escape"), RecordStatus::active},
                                                              {VmName("twice"), RecordStatus::suspended}};
    CHECK(database.statuses() == wanted);
    std::vector<std::pair<VmName, RecordStatus>> read;
    for (const VmRecord& record : database.records()) read.emplace_back(record.name, record.status);
    CHECK(read == wanted);
    CHECK(Database(JsonTree::parse(R"({"allocated_ips": []})")).statuses().empty());
}

TEST_CASE("A record that stands twice in the file is one record: the last") {
    const Database db =
        database(R"({"vms": {"a": )" + record("active", "10.0.0.1") + R"(, "b": )" +
                 record("active", "10.0.0.2") + R"(, "a": )" + record("suspended", "10.0.0.3") + "}}");
    const auto records = db.records();
    REQUIRE(records.size() == 2);
    CHECK(records[0].name.str() == "b");
    CHECK(records[1].status == RecordStatus::suspended);
}

TEST_CASE("An address is held by its list in any spelling, and by every record that is not destroyed") {
    const Database db = database(
        R"({"allocated_ips": ["10.0.0.1", 7, "nonsense"], "allocated_ipv6": ["2A11:0:0::1", null], "vms": {"a": )" +
        record("active", "10.0.0.2", R"(, "ipv6_address": "FD00:0::2")") + R"(, "odd": )" +
        record("frozen", "10.0.0.3") + R"(, "gone": )" + record("destroyed", "10.0.0.4") + "}}");
    CHECK(db.holds(v4("10.0.0.1")));
    CHECK(db.holds(v4("10.0.0.2")));
    CHECK(db.holds(v4("10.0.0.3")));
    CHECK_FALSE(db.holds(v4("10.0.0.4")));
    CHECK(db.holds(v6("2a11::1")));
    CHECK(db.holds(v6("fd00::2")));
    CHECK_FALSE(db.holds(v6("fd00::3")));
    CHECK_FALSE(database("{}").holds(v4("10.0.0.1")));
}

TEST_CASE("Allocating adds an address once, whatever its spelling in the list") {
    Database db = database(R"({"allocated_ipv6": ["2A11:0::1"]})");
    db.allocate({v4("10.0.0.1"), v6("2a11::1")});
    db.allocate({v4("10.0.0.1"), v6("2a11::2")});
    CHECK(db.tree().write() == R"({
  "allocated_ipv6": [
    "2A11:0::1",
    "2a11::2"
  ],
  "allocated_ips": [
    "10.0.0.1"
  ]
})");
}

TEST_CASE("Releasing takes an address out in any spelling and leaves the others as they are spelt") {
    Database db = database(
        R"({"allocated_ips": ["10.0.0.1", "10.0.0.2", 5], "allocated_ipv6": ["2A11:0::1", "2A11:0::2", "2a11::1"]})");
    db.release(v4("10.0.0.1"));
    db.release(v6("2a11::1"));
    CHECK(written(db, "allocated_ips") == "[\n  \"10.0.0.2\",\n  5\n]");
    CHECK(written(db, "allocated_ipv6") == "[\n  \"2A11:0::2\"\n]");
    database("{}").release(v4("10.0.0.1"));
}

TEST_CASE("An address is held by another only where that one lives") {
    const auto held = [](const char* name, const char* status) {
        return database(R"({"vms": {"a": )" + record(status, "10.0.0.1") + "}}")
            .held_by_another(VmName(name), v4("10.0.0.1"));
    };
    CHECK(held("b", "active"));
    CHECK(held("b", "suspended"));
    CHECK_FALSE(held("b", "destroyed"));
    CHECK_FALSE(held("a", "active"));
}

TEST_CASE("Marking destroyed sets status and time, frees both addresses and keeps foreign keys") {
    Database db =
        database(R"({"reserved_nft_tokens": {}, "vms": {"a": )" +
                 record("suspended", "10.0.0.1",
                        R"(, "ipv6_address": "2a11::1", "nft_token_id": 18446744073709551616)") +
                 R"(}, "allocated_ips": ["10.0.0.1", "10.0.0.2"], "allocated_ipv6": ["2a11:0::1"]})");
    db.mark_destroyed(VmName("a"), at("2026-02-01T00:00:00Z"));
    CHECK(db.tree().write() == R"({
  "reserved_nft_tokens": {},
  "vms": {
    "a": {
      "status": "destroyed",
      "ip_address": "10.0.0.1",
      "ipv6_address": "2a11::1",
      "nft_token_id": 18446744073709551616,
      "destroyed_at": "2026-02-01T00:00:00+00:00"
    }
  },
  "allocated_ips": [
    "10.0.0.2"
  ],
  "allocated_ipv6": []
})");
    CHECK(code_of([&] { db.mark_destroyed(VmName("b"), now()); }) == Code::not_found);
}

TEST_CASE("Marking destroyed leaves the addresses that another live record has") {
    const std::string same = record("active", "10.0.0.1", R"(, "ipv6_address": "fd00::1")");
    Database db = database(R"({"vms": {"a": )" + same + R"(, "b": )" + same +
                           R"(}, "allocated_ips": ["10.0.0.1"], "allocated_ipv6": ["FD00:0::1"]})");
    db.mark_destroyed(VmName("a"), now());
    CHECK(db.tree().get("allocated_ips")->items().size() == 1);
    CHECK(db.tree().get("allocated_ipv6")->items().size() == 1);
    db.mark_destroyed(VmName("b"), now());
    CHECK(db.tree().get("allocated_ips")->items().empty());
    CHECK(db.tree().get("allocated_ipv6")->items().empty());
}

TEST_CASE("Marking a destroyed record again changes nothing: its address may already be another's") {
    Database db =
        database(R"({"vms": {"a": )" + record("destroyed", "10.0.0.1", R"(, "destroyed_at": "then")") +
                 R"(}, "allocated_ips": ["10.0.0.1"]})");
    const std::string before = db.tree().write();
    db.mark_destroyed(VmName("a"), now());
    CHECK(db.tree().write() == before);
}

TEST_CASE("A record is removed only when name, address and creation agree") {
    Database db = Database::empty();
    db.add(new_record());
    const NewRecord it = new_record();
    CHECK_FALSE(db.remove_exactly(it.name, it.ip, it.created_at + std::chrono::microseconds(1)));
    CHECK_FALSE(db.remove_exactly(it.name, v4("192.168.122.201"), it.created_at));
    CHECK_FALSE(db.remove_exactly(VmName("web-2"), it.ip, it.created_at));
    CHECK(db.remove_exactly(it.name, it.ip, it.created_at));
    CHECK(written(db, "vms") == "{}");
    CHECK_FALSE(db.remove_exactly(it.name, it.ip, it.created_at));
}

TEST_CASE("A top-level key of a wrong type is an error, and a missing one is not") {
    CHECK(code_of([] { database("[]"); }) == Code::registry);
    CHECK(code_of([] { database("null"); }) == Code::registry);
    CHECK(code_of([] { database(R"({"vms": []})"); }) == Code::registry);
    CHECK(code_of([] { database(R"({"vms": null})"); }) == Code::registry);
    CHECK(code_of([] { database(R"({"allocated_ips": {}})").holds(v4("10.0.0.1")); }) == Code::registry);
    CHECK(code_of([] { database(R"({"allocated_ipv6": null})").add(new_record()); }) == Code::registry);
    CHECK(code_of([] { database(R"({"allocated_ips": "x"})").release(v4("10.0.0.1")); }) == Code::registry);
    CHECK(database("{}").records().empty());
}

TEST_CASE("The first free IPv4 address is chosen, first and last of the pool included") {
    const auto three = pool("10.0.0.0/24", "10.0.0.5", "10.0.0.7");
    CHECK(chosen4(database("{}"), three) == v4("10.0.0.5"));
    CHECK(chosen4(database(R"({"allocated_ips": ["10.0.0.5"]})"), three) == v4("10.0.0.6"));
    CHECK(chosen4(database(R"({"vms": {"a": )" + record("suspended", "10.0.0.5") + R"(, "b": )" +
                           record("destroyed", "10.0.0.6") + "}}"),
                  three) == v4("10.0.0.6"));
    CHECK(chosen4(database(R"({"allocated_ips": ["10.0.0.5"]})"), three, {v4("10.0.0.6")}) == v4("10.0.0.7"));
}

TEST_CASE("Network, broadcast and gateway addresses are never chosen") {
    CHECK(chosen4(database("{}"), pool("10.0.0.0/24", "10.0.0.0", "10.0.0.9", "10.0.0.1")) == v4("10.0.0.2"));
    const auto end = pool("10.0.0.0/24", "10.0.0.255", "10.0.0.255");
    CHECK(code_of([&] { chosen4(database("{}"), end); }) == Code::no_room);
    CHECK(chosen4(database("{}"), pool("10.0.0.0/16", "10.0.0.255", "10.0.1.9")) == v4("10.0.0.255"));
    CHECK(chosen4(database("{}"), pool("10.0.0.0/31", "10.0.0.0", "10.0.0.1")) == v4("10.0.0.0"));
    const auto top = pool("255.255.255.254/31", "255.255.255.254", "255.255.255.255");
    CHECK(code_of([&] {
              chosen4(database(R"({"allocated_ips": ["255.255.255.254", "255.255.255.255"]})"), top);
          }) == Code::no_room);
}

TEST_CASE("A full IPv4 pool is refused in the words consumers know") {
    const Database db = database(R"({"allocated_ips": ["10.0.0.5"]})");
    try {
        chosen4(db, pool("10.0.0.0/24", "10.0.0.5", "10.0.0.5"));
        FAIL("an address was found");
    } catch (const Error& error) {
        CHECK(error.code() == Code::no_room);
        CHECK(error.message() == "No IPv4 addresses available in pool");
    }
}

TEST_CASE("The first free IPv6 offset within bounds and prefix is chosen, else none") {
    const Database none = database("{}");
    CHECK(chosen6(none, "2a11:6c7::/120", 2, 254) == "2a11:6c7::2");
    CHECK(chosen6(none, "2a11:6c7::77/120", 2, 254) == "2a11:6c7::2");
    CHECK(chosen6(none, "2a11:6c7::/120", 0, 254) == "2a11:6c7::2");
    CHECK(chosen6(none, "2a11:6c7::/126", 4, 254) == "none");
    CHECK(chosen6(none, "2a11:6c7::/127", 0, 254) == "none");
    CHECK(chosen6(none, "2a11:6c7::/64", UINT64_MAX, UINT64_MAX) == "2a11:6c7::ffff:ffff:ffff:ffff");
    CHECK(chosen6(none, "2a11:6c7::/120", 9, 8) == "none");
    const Database some =
        database(R"({"allocated_ipv6": ["2A11:6C7:0::2", "2a11:6c7::3"], "vms": {"a": )" +
                 record("active", "", R"(, "ipv6_address": "2a11:6c7:0::4")") + R"(, "b": )" +
                 record("destroyed", "", R"(, "ipv6_address": "2a11:6c7::5")") + "}}");
    CHECK(chosen6(some, "2a11:6c7::/120", 2, 254) == "2a11:6c7::5");
    CHECK(chosen6(some, "2a11:6c7::/120", 2, 4) == "none");
    const Database last = database(R"({"allocated_ipv6": ["2a11:6c7::ffff:ffff:ffff:ffff"]})");
    CHECK(chosen6(last, "2a11:6c7::/32", UINT64_MAX, UINT64_MAX) == "none");
}

TEST_CASE("Choosing one after the other hands out each address of the pool once") {
    Database db = Database::empty();
    std::set<std::string> seen;
    const auto ten = pool("10.0.0.0/24", "10.0.0.1", "10.0.0.10", "10.0.0.1");
    for (int i = 0; i < 9; ++i) {
        const Ipv4 ip = chosen4(db, ten);
        db.allocate({ip, std::nullopt});
        seen.insert(ip.str());
    }
    CHECK(seen.size() == 9);
    CHECK(code_of([&] { chosen4(db, ten); }) == Code::no_room);
}

TEST_CASE("An IPv6 address that is taken elsewhere is passed over") {
    const Database db = Database::empty();
    const auto prefix = Ipv6Prefix::try_parse("fd00::/120");
    const auto chosen =
        choose_addresses(db, pool("10.0.0.0/24", "10.0.0.5", "10.0.0.9"), {}, {v6("fd00::2")}, prefix, 2, 9);
    CHECK(chosen.ipv6 == v6("fd00::3"));
}

TEST_CASE("A record is not added with an address that another live record has") {
    Database db = Database::empty();
    db.add(new_record("web-1"));
    const std::string before = db.tree().write();
    CHECK(code_of([&] { db.add(new_record("web-2")); }) == Code::exists);
    CHECK(db.tree().write() == before);
}

TEST_CASE("A suspension is marked once, and taken back whole") {
    Database db = Database::empty();
    db.add(new_record());
    const VmName name("web-1");
    db.mark_suspended(name, at("2026-03-04T00:00:00Z"));
    db.mark_suspended(name, at("2026-03-09T00:00:00Z"));
    REQUIRE(db.find(name)->status == RecordStatus::suspended);
    CHECK(db.find(name)->suspended_at == at("2026-03-04T00:00:00Z"));
    CHECK(db.find(name)->expires_at == new_record().expires_at);

    db.mark_active(name, at("2026-04-01T00:00:00.5Z"));
    CHECK(db.find(name)->status == RecordStatus::active);
    const JsonTree& record = *db.tree().get("vms")->get("web-1");
    CHECK_FALSE(record.get("suspended_at"));
    CHECK(record.get("expires_at")->as_string() == "2026-04-01T00:00:00.500000+00:00");
}

TEST_CASE("An expiry is set without anything else") {
    Database db = database(
        R"({"vms": {"a": )" +
        record("suspended", "192.168.122.201", R"(, "suspended_at": "x", "gecos_synced": true)") + "}}");
    db.set_expiry(VmName("a"), at("2026-04-01T00:00:00Z"));
    CHECK(db.find(VmName("a"))->status == RecordStatus::suspended);
    CHECK(db.tree().get("vms")->get("a")->get("gecos_synced")->as_bool() == true);
    CHECK(db.tree().get("vms")->get("a")->get("suspended_at")->as_string() == "x");
}

TEST_CASE("What was destroyed is neither suspended, resumed nor extended, and what is unknown is not found") {
    Database db = database(R"({"vms": {"a": )" + record("destroyed", "192.168.122.201") + "}}");
    const std::string before = db.tree().write();
    const Instant when = at("2026-04-01T00:00:00Z");
    for (const char* name : {"a", "b"}) {
        const Code wanted = std::string(name) == "a" ? Code::wrong_state : Code::not_found;
        CHECK(code_of([&] { db.mark_suspended(VmName(name), when); }) == wanted);
        CHECK(code_of([&] { db.mark_active(VmName(name), when); }) == wanted);
        CHECK(code_of([&] { db.set_expiry(VmName(name), when); }) == wanted);
    }
    CHECK(db.tree().write() == before);
}

TEST_CASE("The newest event is the latest of what records say happened, not what they expect") {
    CHECK_FALSE(Database::empty().newest_event());
    Database db = database(
        R"({"vms": {"a": {"status": "active", "created_at": "2026-01-01", "expires_at": "2099-01-01"},
                    "b": {"status": "destroyed", "created_at": "2026-01-02", "destroyed_at": "2026-02-03T04:05:06Z"},
                    "c": {"status": "suspended", "suspended_at": "rubbish", "nft_minted_at": 7}}})");
    CHECK(db.newest_event()->at == at("2026-02-03T04:05:06Z"));
    CHECK(db.newest_event()->what == "destroyed_at of b");
}

TEST_CASE("Unclaimed are the allocated addresses without a live record") {
    Database db = database(
        R"({"allocated_ips": ["192.168.122.7", "192.168.122.201", "junk", "192.168.122.202"],
                               "vms": {"a": )" +
        record("active", "192.168.122.201") + R"(, "b": )" + record("destroyed", "192.168.122.202") + "}}");
    CHECK(db.unclaimed() == std::vector<Ipv4>{v4("192.168.122.7"), v4("192.168.122.202")});
}
