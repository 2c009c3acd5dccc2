// SPDX-License-Identifier: MIT
/// Database: records and address lists of the VM database, and the choice of free addresses.

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "registry/registry.hpp"

#include <algorithm>

namespace blockhost {

namespace {

constexpr std::string_view repair_hint = "repair the file by hand, or restore it from a backup";

/// The keys for each kind of address.
template<class Address>
constexpr std::string_view list_key = "allocated_ips";
template<>
constexpr std::string_view list_key<Ipv6> = "allocated_ipv6";
template<class Address>
constexpr std::string_view record_key = "ip_address";
template<>
constexpr std::string_view record_key<Ipv6> = "ipv6_address";

Error wrong_type(std::string_view key, std::string_view wanted) {
    return {Code::registry, "\"" + std::string(key) + "\" in the VM database is not " + std::string(wanted),
            std::string(repair_hint)};
}

template<class Address>
std::optional<Address> address_of(const JsonTree& value) {
    const auto text = value.as_string();
    return text ? Address::try_parse(*text) : std::nullopt;
}

template<class Address>
std::optional<Address> address_in(const JsonTree& record) {
    const auto value = record.peek(record_key<Address>);
    return value ? address_of<Address>(*value) : std::nullopt;
}

std::string text_in(const JsonTree& record, std::string_view key) {
    const auto value = record.peek(key);
    return value ? value->as_string().value_or("") : "";
}

/// A record with an unknown status counts as live: its address must not be handed out.
bool is_destroyed(const JsonTree& record) {
    return text_in(record, "status") == to_string(RecordStatus::destroyed);
}

const std::vector<JsonTree::Member>& vms_of(const JsonTree& tree) {
    static const std::vector<JsonTree::Member> none;
    const JsonTree* vms = tree.get("vms");
    return vms ? vms->members() : none;
}

const JsonTree* record_of(const JsonTree& tree, const VmName& name) {
    const JsonTree* vms = tree.get("vms");
    return vms ? vms->get(name.str()) : nullptr;
}

/// The list of addresses of this kind; nothing when the file has none.
template<class Address>
const JsonTree* list_in(const JsonTree& tree) {
    const JsonTree* list = tree.get(list_key<Address>);
    if (list && !list->is_array()) throw wrong_type(list_key<Address>, "a list");
    return list;
}

template<class Address>
std::vector<Address> listed(const JsonTree& tree) {
    std::vector<Address> all;
    if (const JsonTree* list = list_in<Address>(tree))
        for (const JsonTree& item : list->items())
            if (const auto address = address_of<Address>(item)) all.push_back(*address);
    return all;
}

/// Addresses of the records that are not destroyed, except the record of `but`.
template<class Address>
std::vector<Address> in_use(const JsonTree& tree, const VmName* but = nullptr) {
    std::vector<Address> all;
    for (const auto& [key, record] : vms_of(tree)) {
        if ((but && key == but->str()) || is_destroyed(record)) continue;
        if (const auto address = address_in<Address>(record)) all.push_back(*address);
    }
    return all;
}

template<class Address>
bool contains(const std::vector<Address>& addresses, const Address& wanted) {
    return std::find(addresses.begin(), addresses.end(), wanted) != addresses.end();
}

/// All addresses that the database holds, sorted.
template<class Address>
std::vector<Address> held(const JsonTree& tree) {
    std::vector<Address> all = listed<Address>(tree);
    const std::vector<Address> live = in_use<Address>(tree);
    all.insert(all.end(), live.begin(), live.end());
    std::sort(all.begin(), all.end());
    return all;
}

template<class Address>
void allocate_one(JsonTree& tree, const Address& address) {
    if (contains(listed<Address>(tree), address)) return;
    if (!tree.get(list_key<Address>)) tree.set(list_key<Address>, JsonTree::array());
    tree.get(list_key<Address>)->items().push_back(JsonTree::string(address.str()));
}

template<class Address>
void release_one(JsonTree& tree, const Address& address) {
    if (!list_in<Address>(tree)) return;
    std::erase_if(tree.get(list_key<Address>)->items(),
                  [&](const JsonTree& item) { return address_of<Address>(item) == address; });
}

/// Like every program that registers vmid 0: a counter at or below it becomes 1. Numbers beyond 64 bits stay.
void advance_next_vmid(JsonTree& tree) {
    const JsonTree* next = tree.get("next_vmid");
    if (next && next->kind() != JsonTree::Kind::number) throw wrong_type("next_vmid", "a number");
    if (!next || next->as_int().value_or(1) <= 0) tree.set("next_vmid", JsonTree::number(1));
}

/// Keys and order are the contract's. Other programs expect an empty text, not null, when there is no IPv6.
JsonTree record_tree(const NewRecord& record) {
    JsonTree tree = JsonTree::object();
    const auto text = [&](std::string_view key, std::string_view value) {
        tree.set(key, JsonTree::string(value));
    };
    text("vm_name", record.name.str());
    tree.set("vmid", JsonTree::number(0));
    text("ip_address", record.ip.str());
    text("ipv6_address", record.ipv6 ? record.ipv6->str() : "");
    text("expires_at", format_instant(record.expires_at));
    text("owner", record.wallet.str());
    text("status", to_string(RecordStatus::active));
    text("created_at", format_instant(record.created_at));
    text("purpose", "");
    text("wallet_address", record.wallet.str());
    text("username", record.username.str());
    text("network_mode", record.network_mode);
    return tree;
}

VmRecord read_record(const VmName& name, const JsonTree& record) {
    const auto bad = [&](const std::string& what) {
        return Error(Code::registry, "the VM database's record of " + name.str() + " " + what,
                     std::string(repair_hint));
    };
    if (!record.is_object()) throw bad("is not an object");
    static constexpr std::array<std::string_view, 9> keys{"status",     "ip_address", "ipv6_address",
                                                          "created_at", "expires_at", "suspended_at",
                                                          "owner",      "username",   "network_mode"};
    auto [status_text, ip, ipv6, created, expires, suspended, owner, username, network_mode] =
        record.texts(keys);
    const auto status = record_status(status_text);
    if (!status) throw bad("has the unknown status \"" + text::printable(status_text, 40) + "\"");
    return {.name = name,
            .status = *status,
            .ip = Ipv4::try_parse(ip),
            .ipv6 = Ipv6::try_parse(ipv6),
            .ip_text = std::move(ip),
            .created_text = created,
            .created_at = parse_instant(created),
            .expires_at = parse_instant(expires),
            .suspended_at = parse_instant(suspended),
            .owner = std::move(owner),
            .username = std::move(username),
            .network_mode = std::move(network_mode)};
}

Ipv4 choose_ipv4(const Database& database, const Ipv4Pool& pool, const std::vector<Ipv4>& taken) {
    const std::vector<Ipv4> held_now = held<Ipv4>(database.tree());
    const bool has_broadcast = pool.network.prefix_length() <= 30; // RFC 3021: /31 and /32 have none
    for (std::uint64_t value = pool.first.value(); value <= pool.last.value(); ++value) {
        const Ipv4 address(static_cast<std::uint32_t>(value));
        if (has_broadcast && (address == pool.network.network() || address == pool.network.broadcast()))
            continue;
        if (pool.gateway == address || contains(taken, address)) continue;
        if (!std::binary_search(held_now.begin(), held_now.end(), address)) return address;
    }
    throw Error(Code::no_room, "No IPv4 addresses available in pool",
                pool.first.str() + " to " + pool.last.str() +
                    " are all taken; widen ip_pool in db.yaml or destroy a VM that is no longer needed");
}

std::optional<Ipv6> choose_ipv6(const Database& database, const Ipv6Prefix& prefix,
                                const std::vector<Ipv6>& taken, std::uint64_t first, std::uint64_t last) {
    constexpr std::uint64_t first_for_vms = 2; // 0: the network; 1: the gateway
    const std::vector<Ipv6> held_now = held<Ipv6>(database.tree());
    for (std::uint64_t offset = std::max(first, first_for_vms); offset <= last; ++offset) {
        const auto address = prefix.at(offset);
        if (!address) return std::nullopt;
        const bool is_taken =
            contains(taken, *address) || std::binary_search(held_now.begin(), held_now.end(), *address);
        if (!is_taken) return address;
        if (offset == last) break; // `last` may be the largest possible number
    }
    return std::nullopt;
}

} // namespace

Database::Database(JsonTree tree) : tree_(std::move(tree)) {
    if (!tree_.is_object())
        throw Error(Code::registry, "the VM database is not a JSON object", std::string(repair_hint));
    if (const JsonTree* vms = tree_.get("vms"); vms && !vms->is_object())
        throw wrong_type("vms", "an object");
}

Database Database::empty() {
    JsonTree tree = JsonTree::object();
    tree.set("vms", JsonTree::object());
    tree.set("next_vmid", JsonTree::number(0));
    tree.set(list_key<Ipv4>, JsonTree::array());
    tree.set(list_key<Ipv6>, JsonTree::array());
    return Database(std::move(tree));
}

std::optional<VmRecord> Database::find(const VmName& name) const {
    const JsonTree* record = record_of(tree_, name);
    if (!record) return std::nullopt;
    return read_record(name, *record);
}

std::vector<VmRecord> Database::records(std::vector<std::string>* bad) const {
    std::vector<VmRecord> all;
    const JsonTree* vms = tree_.get("vms");
    for (const auto& [key, record] : vms_of(tree_)) {
        if (vms->get(key) != &record) continue; // a duplicate that does not count
        try {
            all.push_back(read_record(VmName(key), record));
        } catch (const Error&) {
            if (bad) bad->push_back(text::printable(key));
        }
    }
    return all;
}

std::vector<std::pair<VmName, RecordStatus>> Database::statuses() const {
    std::vector<std::pair<VmName, RecordStatus>> all;
    const JsonTree* vms = tree_.get("vms");
    for (const auto& [key, record] : vms_of(tree_)) {
        if (vms->get(key) != &record) continue; // a duplicate that does not count
        const auto name = VmName::try_parse(key);
        const auto status = record_status(text_in(record, "status"));
        if (name && status) all.emplace_back(*name, *status);
    }
    return all;
}

bool Database::holds(const Ipv4& ip) const {
    return contains(held<Ipv4>(tree_), ip);
}

bool Database::holds(const Ipv6& ip) const {
    return contains(held<Ipv6>(tree_), ip);
}

void Database::allocate(const Addresses& addresses) {
    allocate_one(tree_, addresses.ip);
    if (addresses.ipv6) allocate_one(tree_, *addresses.ipv6);
}

bool Database::held_by_another(const VmName& name, const Ipv4& ip) const {
    return contains(in_use<Ipv4>(tree_, &name), ip);
}

bool Database::held_by_another(const VmName& name, const Ipv6& ip) const {
    return contains(in_use<Ipv6>(tree_, &name), ip);
}

void Database::release(const Ipv4& ip) {
    release_one(tree_, ip);
}

void Database::release(const Ipv6& ip) {
    release_one(tree_, ip);
}

void Database::add(const NewRecord& record) {
    const VmName& name = record.name;
    if (const auto existing = find(name); existing && existing->status != RecordStatus::destroyed)
        throw Error(Code::exists,
                    "VM already exists in database: " + name.str() +
                        " (status: " + std::string(to_string(existing->status)) + ")",
                    "choose another name, or destroy that VM first");
    if (held_by_another(name, record.ip) || (record.ipv6 && held_by_another(name, *record.ipv6)))
        throw Error(Code::exists, "an address of " + name.str() + " was given to another VM meanwhile",
                    "another program has rewritten the VM database with an older copy; create it again");
    if (!tree_.get("vms")) tree_.set("vms", JsonTree::object());
    tree_.get("vms")->set(name.str(), record_tree(record));
    advance_next_vmid(tree_);
    allocate({record.ip, record.ipv6});
}

bool Database::remove_exactly(const VmName& name, const Ipv4& ip, Instant created_at) {
    const JsonTree* found = record_of(tree_, name);
    if (!found || address_in<Ipv4>(*found) != ip) return false;
    if (parse_instant(text_in(*found, "created_at")) != created_at) return false;
    return tree_.get("vms")->erase(name.str());
}

namespace {

Error no_record(const VmName& name) {
    return Error(Code::not_found, "VM not found in database: " + name.str(),
                 "`blockhost-libvirt list` shows all");
}

void set_text(JsonTree& record, std::string_view key, std::string_view value) {
    record.set(key, JsonTree::string(value));
}

} // namespace

void Database::mark_destroyed(const VmName& name, Instant at) {
    const auto record = find(name);
    if (!record) throw no_record(name);
    if (record->status == RecordStatus::destroyed) return;
    JsonTree& tree = *tree_.get("vms")->get(name.str());
    set_text(tree, "status", to_string(RecordStatus::destroyed));
    set_text(tree, "destroyed_at", format_instant(at));
    if (record->ip && !held_by_another(name, *record->ip)) release(*record->ip);
    if (record->ipv6 && !held_by_another(name, *record->ipv6)) release(*record->ipv6);
}

JsonTree& Database::live_record(const VmName& name) {
    const auto record = find(name);
    if (!record) throw no_record(name);
    if (record->status == RecordStatus::destroyed)
        throw Error(Code::wrong_state, name.str() + " was destroyed", "create it anew");
    return *tree_.get("vms")->get(name.str());
}

void Database::mark_suspended(const VmName& name, Instant at) {
    JsonTree& record = live_record(name);
    if (text_in(record, "status") == to_string(RecordStatus::suspended)) return;
    set_text(record, "status", to_string(RecordStatus::suspended));
    set_text(record, "suspended_at", format_instant(at));
}

void Database::mark_active(const VmName& name, Instant expires_at) {
    JsonTree& record = live_record(name);
    set_text(record, "status", to_string(RecordStatus::active));
    set_text(record, "expires_at", format_instant(expires_at));
    record.erase("suspended_at");
}

void Database::set_expiry(const VmName& name, Instant expires_at) {
    set_text(live_record(name), "expires_at", format_instant(expires_at));
}

std::optional<Database::Event> Database::newest_event() const {
    std::optional<Event> newest;
    for (const auto& [name, record] : vms_of(tree_))
        for (const char* key : {"created_at", "suspended_at", "destroyed_at", "nft_minted_at"})
            if (const auto at = parse_instant(text_in(record, key)); at && (!newest || *at > newest->at))
                newest = Event{*at, std::string(key) + " of " + text::printable(name, 64)};
    return newest;
}

std::vector<Ipv4> Database::unclaimed() const {
    std::vector<Ipv4> addresses = listed<Ipv4>(tree_);
    const std::vector<Ipv4> used = in_use<Ipv4>(tree_);
    std::erase_if(addresses, [&](const Ipv4& address) { return contains(used, address); });
    return addresses;
}

Addresses choose_addresses(const Database& database, const Ipv4Pool& pool, const std::vector<Ipv4>& taken4,
                           const std::vector<Ipv6>& taken6, const std::optional<Ipv6Prefix>& prefix,
                           std::uint64_t ipv6_first, std::uint64_t ipv6_last) {
    const Ipv4 ip = choose_ipv4(database, pool, taken4);
    if (!prefix) return {ip, std::nullopt};
    return {ip, choose_ipv6(database, *prefix, taken6, ipv6_first, ipv6_last)};
}

} // namespace blockhost
