// SPDX-License-Identifier: MIT
// A node's storages and the backups in them.
#include "base/text/text.hpp"
#include "platform/proxmox/answer.hpp"
#include "platform/proxmox/node.hpp"

#include <algorithm>

namespace blockhost::platform::proxmox {

namespace {

namespace bj = boost::json;

constexpr std::size_t longest_name = 1000, longest_config = std::size_t{1} << 18, most_config_lines = 2000;

/// The member's bytes or seconds; nothing when it is absent.
std::optional<std::int64_t> amount(const bj::object& row, std::string_view key, const std::string& path) {
    const bj::value* told = row.if_contains(key);
    if (told == nullptr || told->is_null()) return std::nullopt;
    const auto read = number(row, key);
    if (!read || *read < 0) throw senseless(path, std::string(key) + " of a row is no amount");
    return read;
}

/// A name that can be shown, sent and found again as it is.
std::string name_in(const bj::object& row, std::string_view key, const std::string& path) {
    std::string name = scalar(row, key).value_or("");
    const auto is_plain = [](char c) { return c > ' ' && c != 0x7f; };
    if (name.empty() || name.size() > longest_name || !std::ranges::all_of(name, [&](char c) {
            return is_plain(c) || static_cast<unsigned char>(c) > 0x7f;
        }))
        throw senseless(path, "a row has no name");
    return name;
}

std::optional<bool> verification_in(const bj::object& row) {
    const bj::value* told = row.if_contains("verification");
    if (told == nullptr || !told->is_object()) return std::nullopt;
    const std::string state = scalar(told->get_object(), "state").value_or("");
    if (state == "ok") return true;
    if (state == "failed") return false;
    return std::nullopt;
}

BackupVolume backup_in(const bj::object& row, const std::string& path) {
    BackupVolume backup;
    backup.id = name_in(row, "volid", path);
    backup.made = amount(row, "ctime", path).value_or(0);
    backup.size = amount(row, "size", path).value_or(0);
    const auto guest = amount(row, "vmid", path).value_or(0);
    if (guest > highest_id) throw senseless(path, "a row's guest is none");
    backup.guest = static_cast<int>(guest);
    backup.notes = scalar(row, "notes").value_or("");
    backup.is_protected = flag(row, "protected");
    backup.verified = verification_in(row);
    backup.format = scalar(row, "format").value_or("");
    // A Backup Server tells the key's fingerprint, or "1".
    const std::string key = scalar(row, "encrypted").value_or("");
    backup.is_encrypted = !key.empty() && key != "0";
    return backup;
}

} // namespace

Kind kind_of_backup(const std::string& volume) {
    if (volume.find("vzdump-lxc-") != volume.npos || volume.find("/ct/") != volume.npos)
        return Kind::container;
    if (volume.find("vzdump-qemu-") != volume.npos || volume.find("/vm/") != volume.npos) return Kind::vm;
    throw Error(Code::invalid, text::printable(volume) + " is no backup of a guest",
                "name a volume of the backups' list");
}

std::optional<int> guest_of_backup(std::string_view volume) {
    for (const std::string_view mark : {"/vzdump-lxc-", "/vzdump-qemu-", "/ct/", "/vm/"}) {
        const std::size_t at = volume.find(mark);
        if (at == volume.npos) continue;
        const std::string_view rest = volume.substr(at + mark.size());
        const auto number = text::parse_int(rest.substr(0, rest.find(mark.back())));
        if (number && *number >= lowest_id && *number <= highest_id) return static_cast<int>(*number);
    }
    return std::nullopt;
}

std::string storage_of(const std::string& volume) {
    return volume.substr(0, volume.find(':'));
}

std::vector<BackupVolume> backups_in(const bj::value& told, const std::string& from) {
    std::vector<BackupVolume> found;
    for (const bj::value& row : list_of(told, from)) found.push_back(backup_in(row_of(row, from), from));
    return found;
}

std::vector<StorageRow> storages_in(const bj::value& told, const std::string& from) {
    std::vector<StorageRow> found;
    for (const bj::value& row : list_of(told, from)) {
        const bj::object& each = row_of(row, from);
        StorageRow storage;
        storage.name = name_in(each, "storage", from);
        storage.kind = scalar(each, "type").value_or("");
        for (const std::string& content : text::split(scalar(each, "content").value_or(""), ','))
            if (text::trim(content) == "backup") storage.takes_backups = true;
        storage.is_enabled = flag(each, "enabled", true);
        storage.is_active = flag(each, "active", true);
        storage.size = amount(each, "total", from);
        storage.free = amount(each, "avail", from);
        found.push_back(std::move(storage));
    }
    return found;
}

bj::object archived_config_in(const bj::value& told, const std::string& from) {
    const std::string text = scalar(told).value_or("");
    if (text.empty() || text.size() > longest_config) throw senseless(from, "it is no configuration");
    bj::object config;
    const auto lines = text::split(text, '\n');
    if (lines.size() > most_config_lines) throw senseless(from, "it is too long for a configuration");
    for (const std::string& line : lines) {
        if (line.starts_with('[')) break; // what follows are the guest's snapshots
        if (line.starts_with('#') || text::trim(line).empty()) continue;
        const std::size_t colon = line.find(':');
        if (colon == line.npos || colon == 0) throw senseless(from, "it has a line without a key");
        config[line.substr(0, colon)] = std::string(text::trim(std::string_view(line).substr(colon + 1)));
    }
    if (config.empty()) throw senseless(from, "it is an empty configuration");
    return config;
}

std::vector<BackupVolume> Node::backups(const std::string& storage) {
    const std::string from = path("/storage/" + percent_encoded(storage) + "/content");
    auto found = backups_in(client_.get(from, {{"content", "backup"}}), from);
    for (const BackupVolume& each : found)
        if (storage_of(each.id) != storage) throw senseless(from, "a row is another storage's");
    return found;
}

std::vector<StorageRow> Node::storages() {
    const std::string from = path("/storage");
    return storages_in(client_.get(from), from);
}

bj::object Node::archived_config(const std::string& volume) {
    const std::string from = path("/vzdump/extractconfig");
    return archived_config_in(client_.get(from, {{"volume", volume}}), from);
}

} // namespace blockhost::platform::proxmox
