// SPDX-License-Identifier: MIT
/// The VM database: JsonTree, and Database over it.

#include "base/text/text.hpp"
#include "registry/registry.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <set>

using namespace blockhost;

namespace {

constexpr std::size_t looked_at = 3; ///< records that are changed

/// The text without the blanks between its tokens.
std::string compact(std::string_view text) {
    std::string out;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!in_string && std::string_view(" \t\r\n").find(text[i]) != std::string_view::npos) continue;
        out += text[i];
        if (in_string && text[i] == '\\' && i + 1 < text.size())
            out += text[++i];
        else if (text[i] == '"')
            in_string = !in_string;
    }
    return out;
}

/// All records but `name`'s, as text.
std::string others(const Database& database, const std::string& name) {
    std::string all;
    for (const auto& [key, value] : database.tree().members()) {
        if (key == "allocated_ips" || key == "allocated_ipv6" || key == "next_vmid") continue;
        if (key != "vms") all += key + "=" + value.write() + "\n";
        if (key == "vms")
            for (const auto& [vm, record] : value.members())
                if (vm != name) all += vm + ":" + record.write() + "\n";
    }
    return all;
}

void change(const Database& before, const VmName& name) {
    const auto at = *parse_instant("2030-01-02T03:04:05.678Z");
    const std::string rest = others(before, name.str());
    Database changed = before;
    if (fuzz::answered([&] { changed.mark_suspended(name, at); }))
        fuzz::check(changed.find(name)->status == RecordStatus::suspended, "it is marked as suspended");
    if (fuzz::answered([&] { changed.mark_active(name, at); })) {
        const auto found = changed.find(name);
        fuzz::check(found->status == RecordStatus::active && found->expires_at == at,
                    "it is marked as active");
        fuzz::check(!found->suspended_at, "an active VM is not suspended");
    }
    if (fuzz::answered([&] { changed.mark_destroyed(name, at); }))
        fuzz::check(changed.find(name)->status == RecordStatus::destroyed, "it is marked as destroyed");
    fuzz::check(others(changed, name.str()) == rest, "what is not this VM's stays as it was");
    const Database read_back(JsonTree::parse(changed.tree().write()));
    fuzz::check(read_back.tree().write() == changed.tree().write(), "what was changed can be read again");
}

void add(Database database) {
    const Ipv4Pool pool{*Ipv4Network::try_parse("192.168.122.0/24"), *Ipv4::try_parse("192.168.122.200"),
                        *Ipv4::try_parse("192.168.122.250"), Ipv4::try_parse("192.168.122.1")};
    const auto prefix = Ipv6Prefix::try_parse("2001:db8::/120");
    const auto addresses = choose_addresses(database, pool, {}, {}, prefix, 2, 254);
    fuzz::check(!database.holds(addresses.ip), "an address that is handed out was free");
    fuzz::check(!addresses.ipv6 || !database.holds(*addresses.ipv6),
                "an IPv6 address that is handed out was free");
    const auto created = *parse_instant("2030-01-02T03:04:05Z");
    const NewRecord record{VmName("fuzz-new"),
                           Wallet("0xabc", ""),
                           Username("admin"),
                           addresses.ip,
                           addresses.ipv6,
                           "none",
                           created,
                           created};
    const std::string rest = others(database, "fuzz-new");
    database.add(record);
    fuzz::check(database.find(record.name).has_value() && database.holds(addresses.ip),
                "what was added is there");
    fuzz::check(others(database, "fuzz-new") == rest, "adding changes no other record");
    fuzz::check(database.remove_exactly(record.name, addresses.ip, created), "what was added can be removed");
}

/// So that nothing is copied from the text.
void take_apart(JsonTree& tree) {
    if (tree.is_array())
        for (JsonTree& item : tree.items()) take_apart(item);
    std::set<std::string> keys; // of duplicates one counts
    for (const auto& [key, value] : std::as_const(tree).members()) keys.insert(key);
    for (const std::string& key : keys) take_apart(*tree.get(key));
}

void registry(std::string_view text) {
    std::optional<JsonTree> tree;
    fuzz::answered([&] { tree = JsonTree::parse(std::string(text)); });
    if (!tree) return;
    const std::string written = tree->write();
    fuzz::check(compact(written) == compact(text), "each token keeps its spelling and its place");
    fuzz::check(JsonTree::parse(written).write() == written, "what was written reads and writes as the same");
    JsonTree apart = *tree;
    take_apart(apart);
    fuzz::check(apart.write() == written, "what nobody looked into is written as what was taken apart");
    fuzz::answered([&] {
        const Database database(*tree);
        std::vector<std::string> bad;
        const auto records = database.records(&bad);
        std::vector<std::pair<VmName, RecordStatus>> statuses;
        for (const VmRecord& record : records) statuses.emplace_back(record.name, record.status);
        fuzz::check(database.statuses() == statuses, "names and statuses are the records'");
        for (std::size_t i = 0; i < std::min(records.size(), looked_at); ++i)
            fuzz::answered([&] { change(database, records[i].name); });
        fuzz::answered([&] { (void)database.newest_event(); });
        fuzz::answered([&] {
            for (const Ipv4& address : database.unclaimed())
                fuzz::check(database.holds(address), "an unclaimed address is held");
        });
        fuzz::answered([&] { add(database); });
    });
}

} // namespace

FUZZ_TARGET(registry)
