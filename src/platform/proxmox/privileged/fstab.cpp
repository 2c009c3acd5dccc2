// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/fstab.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <optional>

namespace blockhost::platform::proxmox::privileged {

namespace {

constexpr std::string_view blanks = " \t\r";
constexpr std::string_view our_mark = "x-blockhost-libvirt";

std::vector<std::string> fields_of(std::string_view line) {
    std::vector<std::string> fields;
    for (std::size_t at = line.find_first_not_of(blanks); at != line.npos;
         at = line.find_first_not_of(blanks, at)) {
        const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
        fields.emplace_back(line.substr(at, end - at));
        at = end;
    }
    return fields;
}

/// "UUID=…" and "UUID="…"" (fstab(5)).
std::string uuid_in(std::string_view source) {
    if (!source.starts_with("UUID=")) return {};
    source.remove_prefix(5);
    if (source.size() > 1 && source.front() == '"' && source.back() == '"')
        source = source.substr(1, source.size() - 2);
    return std::string(source);
}

std::optional<FstabLine> read_line(std::string_view line) {
    const auto fields = fields_of(line);
    if (fields.size() < 2 || fields[0].starts_with('#')) return std::nullopt;
    FstabLine read{uuid_in(fields[0]), fields[1], false};
    while (read.mount_point.size() > 1 && read.mount_point.ends_with('/')) read.mount_point.pop_back();
    if (fields.size() > 3) {
        const auto options = text::split(fields[3], ',');
        read.is_ours = std::ranges::find(options, our_mark) != options.end();
    }
    return read;
}

/// The text up to and with its first line's end.
std::string_view first_line(std::string_view text) {
    const std::size_t end = text.find('\n');
    return end == text.npos ? text : text.substr(0, end + 1);
}

} // namespace

std::vector<FstabLine> lines_of_fstab(std::string_view text) {
    std::vector<FstabLine> found;
    for (const std::string& line : text::split(text, '\n'))
        if (auto read = read_line(line)) found.push_back(std::move(*read));
    return found;
}

std::string with_disk(std::string_view text, const FilesystemUuid& disk, const MountPoint& point) {
    std::string made(text);
    if (!made.empty() && !made.ends_with('\n')) made += '\n';
    // nofail: the node starts without that disk, too. No check at start: it is not the node's own disk.
    return made + "UUID=" + disk.str() + " " + point.str() + " auto nofail,nosuid,nodev," +
           std::string(our_mark) + " 0 0\n";
}

std::string without_disk(std::string_view text, const FilesystemUuid& disk, const MountPoint& point) {
    std::string kept;
    while (!text.empty()) {
        const std::string_view line = first_line(text);
        text.remove_prefix(line.size());
        const auto read = read_line(line.substr(0, line.find('\n')));
        if (!read || !read->is_ours || read->uuid != disk.str() || read->mount_point != point.str())
            kept += line;
    }
    return kept;
}

} // namespace blockhost::platform::proxmox::privileged
