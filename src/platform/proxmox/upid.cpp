// SPDX-License-Identifier: MIT
#include "platform/proxmox/upid.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/form.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::string_view mark = "UPID:";
constexpr std::size_t longest = 512;

/// A field of hexadecimal digits alone.
std::optional<std::uint64_t> hex(const std::string& field, std::size_t shortest_field,
                                 std::size_t longest_field) {
    if (field.size() < shortest_field || field.size() > longest_field) return std::nullopt;
    std::uint64_t value = 0;
    const char* end = field.data() + field.size();
    const auto read = std::from_chars(field.data(), end, value, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return value;
}

bool is_node_name(const std::string& name) {
    const auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
           std::ranges::all_of(name, is_fine);
}

} // namespace

bool is_upid(std::string_view text) {
    return text.starts_with(mark);
}

std::optional<Upid> parse_upid(std::string_view text) {
    const auto is_printable = [](char c) { return c > ' ' && c < 0x7f; };
    if (!is_upid(text) || text.size() > longest || !std::ranges::all_of(text, is_printable))
        return std::nullopt;
    constexpr std::size_t fields_of_a_node = 9, fields_of_backup_server = 10;
    std::vector<std::string> fields = text::split(text, ':');
    if (fields.size() != fields_of_a_node && fields.size() != fields_of_backup_server) return std::nullopt;

    Upid upid;
    upid.text = text;
    if (fields.size() == fields_of_backup_server) {
        upid.number = hex(fields[4], 8, 16);
        if (!upid.number) return std::nullopt;
        fields.erase(fields.begin() + 4);
    }
    const auto pid = hex(fields[2], 8, 8), process_start = hex(fields[3], 8, 9),
               started = hex(fields[4], 8, 8);
    if (!pid || !process_start || !started || !is_node_name(fields[1])) return std::nullopt;
    if (fields[5].empty() || fields[7].empty() || !fields[8].empty()) return std::nullopt;
    upid.node = std::move(fields[1]);
    upid.pid = static_cast<std::uint32_t>(*pid);
    upid.process_start = *process_start;
    upid.started = static_cast<std::int64_t>(*started);
    upid.type = std::move(fields[5]);
    upid.subject = std::move(fields[6]);
    upid.user = std::move(fields[7]);
    return upid;
}

std::string path_of(const Upid& task) {
    return "/nodes/" + task.node + "/tasks/" + percent_encoded(task.text);
}

} // namespace blockhost::platform::proxmox
