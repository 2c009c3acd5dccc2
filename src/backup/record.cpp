// SPDX-License-Identifier: MIT
#include "backup/record.hpp"

#include "base/text/json.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using json::Fields;

constexpr std::int64_t format = 1;
constexpr std::int64_t most_memory_mib = 16ll << 20;
constexpr std::size_t longest_text = 200;

std::string plain_text(Fields& fields, std::string_view key) {
    std::string found = fields.text(key);
    if (found.size() > longest_text || text::printable(found) != found)
        throw fields.refusal(key, "is no short plain text");
    return found;
}

/// A member that may be missing, as a type that parses itself.
template<class Type>
std::optional<Type> maybe(Fields& fields, std::string_view key, std::string_view what) {
    const auto found = fields.maybe_text(key);
    if (!found) return std::nullopt;
    auto value = Type::try_parse(*found);
    if (!value) throw fields.refusal(key, what);
    return value;
}

std::optional<Instant> maybe_instant(Fields& fields, std::string_view key) {
    const auto found = fields.maybe_text(key);
    if (!found) return std::nullopt;
    const auto at = parse_instant(*found);
    if (!at) throw fields.refusal(key, "is no time");
    return at;
}

Mac mac_in(Fields& fields) {
    const auto mac = Mac::try_parse(fields.text("mac"));
    if (!mac) throw fields.refusal("mac", "is no hardware address");
    return *mac;
}

RecordStatus status_in(Fields& fields) {
    const auto status = record_status(fields.text("status"));
    if (!status) throw fields.refusal("status", "is not known");
    return *status;
}

std::optional<Username> username_in(Fields& fields) {
    const auto found = fields.maybe_text("username");
    return found ? std::optional(Username(*found)) : std::nullopt;
}

} // namespace

std::string render(const Record& record) {
    bj::object document{
        {"format", format},      {"name", record.name.str()},          {"mac", record.mac.str()},
        {"cpus", record.cpus},   {"memory_mib", record.memory_mib},    {"status", to_string(record.status)},
        {"owner", record.owner}, {"network_mode", record.network_mode}};
    if (record.username) document["username"] = record.username->str();
    if (record.ip) document["ip"] = record.ip->str();
    if (record.ipv6) document["ipv6"] = record.ipv6->str();
    if (record.created_at) document["created_at"] = format_instant(*record.created_at);
    if (record.expires_at) document["expires_at"] = format_instant(*record.expires_at);
    return json::python_line(document) + "\n";
}

Record parse_record(std::string_view text, std::string_view name) {
    const bj::value document =
        json::parse_strictly(text, name, json::Limits{.bytes = largest_record, .depth = 2});
    Fields fields(document, std::string(name));
    if (const auto found = fields.integer("format", 0, INT64_MAX); found != format)
        throw Error(Code::invalid,
                    fmt::format("{} has format {}; this version reads {}", name, found, format),
                    "use the version of this program that made the backup, or a later one");
    Record record{.name = VmName(fields.text("name")),
                  .mac = mac_in(fields),
                  .cpus = fields.integer("cpus", limits::cpus_min, limits::cpus_max),
                  .memory_mib = fields.integer("memory_mib", limits::memory_min_mib, most_memory_mib),
                  .status = status_in(fields),
                  .owner = plain_text(fields, "owner"),
                  .username = username_in(fields),
                  .network_mode = plain_text(fields, "network_mode"),
                  .ip = maybe<Ipv4>(fields, "ip", "is no IPv4 address"),
                  .ipv6 = maybe<Ipv6>(fields, "ipv6", "is no IPv6 address"),
                  .created_at = maybe_instant(fields, "created_at"),
                  .expires_at = maybe_instant(fields, "expires_at")};
    fields.finish();
    return record;
}

} // namespace blockhost::backup
