// SPDX-License-Identifier: MIT
#include "platform/proxmox/guest_config.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/property_string.hpp"

#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f"; // what Perl's \s matches in ASCII

/// A key, or the prefix of keys with a number, whose value is a property string; and the key of its bare
/// value.
struct PropertyKey {
    std::string_view prefix;
    std::string_view bare;
};
constexpr std::array property_keys{
    PropertyKey{"net", "model"},     PropertyKey{"scsi", "file"},     PropertyKey{"virtio", "file"},
    PropertyKey{"sata", "file"},     PropertyKey{"ide", "file"},      PropertyKey{"efidisk", "file"},
    PropertyKey{"mp", "volume"},     PropertyKey{"rootfs", "volume"}, PropertyKey{"features", ""},
    PropertyKey{"agent", "enabled"}, PropertyKey{"smbios1", ""},      PropertyKey{"meta", ""},
    PropertyKey{"startup", "order"}, PropertyKey{"boot", "legacy"},
};

/// Whether `key` is `prefix`, or `prefix` and a number.
bool is_numbered(std::string_view key, std::string_view prefix) {
    if (!key.starts_with(prefix)) return false;
    key.remove_prefix(prefix.size());
    return key.find_first_not_of("0123456789") == key.npos;
}

const PropertyKey* property_key(std::string_view key) {
    for (const PropertyKey& each : property_keys)
        if (is_numbered(key, each.prefix)) return &each;
    return nullptr;
}

/// A property string with its keys in order; a text that is none stays as it is.
std::string ordered(const std::string& text, const PropertyKey& key) {
    const auto properties = parse_properties(text, key.bare);
    return properties ? write_properties(*properties, key.bare) : text;
}

/// Keys that are fields of their own, or say nothing of what the guest is like.
bool is_told_elsewhere(std::string_view key, Kind kind) {
    constexpr std::array fields{"name",   "hostname",   "cores",  "sockets", "memory", "description", "tags",
                                "onboot", "protection", "digest", "lock",    "parent", "pending",     "lxc"};
    for (const std::string_view field : fields)
        if (key == field) return !(key == "name" && kind == Kind::container);
    return false;
}

/// A node tells these whether they were set or not; what equals the default is left out.
bool is_default(std::string_view key, const std::string& value) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 9> defaults{{{"kvm", "1"},
                                                                                     {"acpi", "1"},
                                                                                     {"tablet", "1"},
                                                                                     {"console", "1"},
                                                                                     {"tty", "2"},
                                                                                     {"numa", "0"},
                                                                                     {"template", "0"},
                                                                                     {"unprivileged", "0"},
                                                                                     {"freeze", "0"}}};
    for (const auto& [name, usual] : defaults)
        if (key == name) return value == usual;
    return false;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The first disk that holds a system: a container's root, else the first of the usual buses that is no CD.
std::optional<std::int64_t> disk_of(const boost::json::object& told) {
    for (const std::string_view key : {"rootfs", "scsi0", "virtio0", "sata0", "ide0"}) {
        const auto text = scalar(told, key);
        if (!text) continue;
        const auto properties = parse_properties(*text, key == "rootfs" ? "volume" : "file");
        if (!properties || properties->contains("media")) continue;
        const auto size = properties->find("size");
        if (size != properties->end()) return size_mib(size->second);
    }
    return std::nullopt;
}

/// A VM has its cores in each of its sockets. A container without "cores" has all of the host's.
std::optional<int> cpus_of(const boost::json::object& told, Kind kind) {
    const auto cores = number(told, "cores"), sockets = number(told, "sockets");
    constexpr std::int64_t most = 1 << 16;
    if ((cores && (*cores < 1 || *cores > most)) || (sockets && (*sockets < 1 || *sockets > most)))
        return std::nullopt;
    if (kind == Kind::container) return cores ? std::optional(static_cast<int>(*cores)) : std::nullopt;
    return static_cast<int>(cores.value_or(1) * sockets.value_or(1));
}

/// A VM's "memory" is a number, or since 8.1 a property string whose bare value is "current".
std::optional<std::int64_t> memory_of(const boost::json::object& told) {
    const auto text = scalar(told, "memory");
    if (!text) return 512; // both kinds' default
    const auto properties = parse_properties(*text, "current");
    if (!properties || !properties->contains("current")) return std::nullopt;
    const auto mib = text::parse_int(properties->find("current")->second);
    return mib && *mib >= 0 ? mib : std::nullopt;
}

} // namespace

std::optional<std::string> scalar(const boost::json::value& value) {
    if (value.is_string()) return std::string(value.as_string());
    if (value.is_bool()) return value.as_bool() ? "1" : "0";
    if (value.is_double()) {
        // "1.5" as a node writes it; Boost would say "1.5E0".
        std::array<char, 32> digits{};
        const auto written = std::to_chars(digits.begin(), digits.end(), value.get_double());
        return std::string(digits.begin(), written.ptr);
    }
    if (value.is_number()) return boost::json::serialize(value);
    return std::nullopt;
}

std::optional<std::string> scalar(const boost::json::object& object, std::string_view key) {
    const boost::json::value* member = object.if_contains(key);
    return member != nullptr ? scalar(*member) : std::nullopt;
}

std::optional<std::int64_t> number(const boost::json::object& object, std::string_view key) {
    const auto text = scalar(object, key);
    return text ? text::parse_int(*text) : std::nullopt;
}

bool flag(const boost::json::object& object, std::string_view key, bool otherwise) {
    const auto text = scalar(object, key);
    if (!text) return otherwise;
    const std::string lower = text::lower(*text);
    return lower == "1" || lower == "on" || lower == "yes" || lower == "true";
}

std::optional<std::int64_t> size_mib(std::string_view text) {
    constexpr std::string_view units = "KMGT";
    double scale = 1;
    if (!text.empty())
        if (const std::size_t unit = units.find(text.back()); unit != units.npos) {
            scale = std::pow(1024.0, static_cast<double>(unit + 1));
            text.remove_suffix(1);
        }
    if (text.empty() || !is_digit(text.front()) || !is_digit(text.back())) return std::nullopt;
    double amount = 0;
    const auto read =
        std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    constexpr double most = 1 << 30; // TiB in MiB, times a thousand
    const double mib = amount * scale / (1 << 20);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || mib > most) return std::nullopt;
    return static_cast<std::int64_t>(mib);
}

std::set<std::string> tags_in(std::string_view text) {
    std::set<std::string> tags;
    std::string tag;
    const auto end = [&] {
        if (!tag.empty()) tags.insert(normal_tag(tag));
        tag.clear();
    };
    for (const char c : text) {
        if (c == ';' || c == ',' || c == '\0' || blanks.find(c) != blanks.npos)
            end();
        else
            tag += c;
    }
    end();
    return tags;
}

GuestConfig config_of(const boost::json::object& told, Kind kind) {
    GuestConfig config;
    config.name = scalar(told, kind == Kind::vm ? "name" : "hostname").value_or("");
    config.cpus = cpus_of(told, kind);
    config.memory_mib = memory_of(told);
    config.disk_mib = disk_of(told);
    config.description = normal_description(scalar(told, "description").value_or(""));
    config.tags = tags_in(scalar(told, "tags").value_or(""));
    config.start_on_boot = flag(told, "onboot");
    config.is_protected = flag(told, "protection");
    for (const auto& [key, value] : told) {
        auto text = scalar(value);
        if (!text || is_told_elsewhere(key, kind) || is_default(key, *text)) continue;
        if (const PropertyKey* property = property_key(key)) text = ordered(*text, *property);
        config.details.emplace(key, std::move(*text));
    }
    return config;
}

Incarnation incarnation_of(const boost::json::object& told, Kind kind) {
    const auto part = [&](std::string_view key, std::string_view bare, std::string_view name) -> std::string {
        const auto properties = parse_properties(scalar(told, key).value_or(""), bare);
        if (!properties) return "";
        const auto found = properties->find(name);
        return found != properties->end() ? found->second : "";
    };
    if (kind == Kind::vm)
        if (const std::string id = scalar(told, "vmgenid").value_or(""); id.size() > 1)
            return "vmgenid:" + id;
    const std::string first =
        kind == Kind::vm ? part("smbios1", "", "uuid") : part("net0", "model", "hwaddr");
    const std::string second =
        kind == Kind::vm ? part("meta", "", "ctime") : part("rootfs", "volume", "volume");
    if (first.empty() || second.empty()) return ""; // a volume's name alone is that of the next guest, too
    return (kind == Kind::vm ? "smbios:" : "device:") + first + "/" + second;
}

bool is_network_device(std::string_view key) {
    constexpr std::string_view net = "net";
    return key.starts_with(net) && key.size() > net.size() &&
           key.find_first_not_of("0123456789", net.size()) == key.npos;
}

std::string without_address(const std::string& device) {
    const auto is_address = [](const std::string& part) {
        constexpr std::size_t length = 17; // of BC:24:11:00:00:01
        const std::string value = part.substr(part.find('=') + 1);
        return value.size() == length && value.find_first_not_of("0123456789abcdefABCDEF:") == value.npos;
    };
    std::vector<std::string> parts;
    for (const std::string& part : text::split(device, ',')) {
        const std::string key = part.substr(0, part.find('='));
        if (!is_address(part))
            parts.push_back(part);
        else if (key != "hwaddr" && key != "macaddr")
            parts.push_back("model=" + key); // "virtio=MAC"
    }
    return text::join(parts, ",");
}

} // namespace blockhost::platform::proxmox
