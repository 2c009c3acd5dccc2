// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/arguments.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>

namespace blockhost::platform::proxmox::privileged {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_lower_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_upper_hex(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'F');
}

/// Letters, digits and `others`, a letter or a digit first.
bool is_name(std::string_view text, std::size_t longest, std::string_view others) {
    const auto is_plain = [](char c) { return is_digit(c) || is_lower(c) || is_upper(c); };
    return !text.empty() && text.size() <= longest && is_plain(text.front()) &&
           std::ranges::all_of(
               text, [&](char c) { return is_plain(c) || others.find(c) != std::string_view::npos; });
}

/// Whether `text` is groups of digits of these lengths, with "-" between.
bool is_grouped(std::string_view text, std::initializer_list<std::size_t> lengths, bool (*is_one)(char)) {
    std::size_t at = 0;
    for (const std::size_t length : lengths) {
        if (at > 0 && (at >= text.size() || text[at++] != '-')) return false;
        const std::string_view group = text.substr(std::min(at, text.size()), length);
        if (group.size() < length || !std::ranges::all_of(group, is_one)) return false;
        at += length;
    }
    return at == text.size();
}

/// One to `longest` digits at the start of `text`, which loses them.
bool takes_number(std::string_view& text, std::size_t longest) {
    const auto length = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    if (length == 0 || length > longest) return false;
    text.remove_prefix(length);
    return true;
}

/// "nvme0n1": the namespace, not a partition of it.
bool is_nvme(std::string_view name) {
    if (!name.starts_with("nvme")) return false;
    name.remove_prefix(4);
    if (!takes_number(name, 3) || !name.starts_with('n')) return false;
    name.remove_prefix(1);
    return takes_number(name, 3) && name.empty();
}

/// "sda", "sdaa": the disk, not a partition of it.
bool is_sd(std::string_view name) {
    return name.starts_with("sd") && (name.size() == 3 || name.size() == 4) &&
           std::ranges::all_of(name, is_lower);
}

/// What stands behind `folder` in `path`; nothing when it lies elsewhere.
std::string_view below(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) ? path.substr(folder.size()) : std::string_view();
}

Error refused(std::string_view text, std::string_view what, std::string hint) {
    return Error(Code::invalid, "\"" + text::printable(text) + "\" is no " + std::string(what),
                 std::move(hint));
}

} // namespace

ContainerId::ContainerId(int number) : number_(number) {
    if (number < 100 || number > 999'999'999)
        throw refused(std::to_string(number), "container's number", "name one from 100 on");
}

ContainerId::ContainerId(const std::string& number)
    : ContainerId(static_cast<int>(text::parse_int(number).value_or(0))) {
    if (str() != number) throw refused(number, "container's number", "name one from 100 on");
}

Features::Features(const std::vector<std::string>& names) {
    constexpr std::array<std::string_view, 6> known{"fuse",       "keyctl",    "mknod",
                                                    "mount=cifs", "mount=nfs", "nesting"};
    for (const std::string& name : names)
        if (std::ranges::find(known, name) == known.end())
            throw refused(name, "feature of a container that may be set",
                          "known are fuse, keyctl, mknod, mount=cifs, mount=nfs and nesting");
    const auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
    if (std::ranges::all_of(names, [](const std::string& name) { return name == "nesting"; }))
        throw Error(Code::invalid, "no feature is named that needs root",
                    "set nesting with the API: a token may");
    std::vector<std::string> parts;
    for (const std::string_view name : {"fuse", "keyctl", "mknod"})
        if (has(name)) parts.push_back(std::string(name) + "=1");
    if (has("mount=cifs") || has("mount=nfs"))
        parts.emplace_back(!has("mount=nfs")    ? "mount=cifs"
                           : !has("mount=cifs") ? "mount=nfs"
                                                : "mount=cifs;nfs");
    if (has("nesting")) parts.emplace_back("nesting=1");
    text_ = text::join(parts, ",");
}

FilesystemUuid::FilesystemUuid(std::string text) : text_(std::move(text)) {
    if (!is_grouped(text_, {8, 4, 4, 4, 12}, is_lower_hex) && !is_grouped(text_, {4, 4}, is_upper_hex) &&
        !is_grouped(text_, {16}, is_upper_hex))
        throw refused(text_, "UUID of a file system", "see ls /dev/disk/by-uuid");
}

MountPoint::MountPoint(std::string path) : path_(std::move(path)) {
    const std::string_view name = below(path_, "/mnt/");
    if (!is_name(name, 64, "-_.") || name == "pve")
        throw refused(path_, "mount point for a disk",
                      "name /mnt/ and one folder of letters, digits, \"-\", \"_\" and \".\"");
}

Device::Device(std::string path) : path_(std::move(path)) {
    const std::string_view name = below(path_, "/dev/");
    if (!is_sd(name) && !is_nvme(name) && !is_name(below(name, "disk/by-id/"), 128, "-_.:+"))
        throw refused(path_, "device of a disk",
                      "name one like /dev/sda, /dev/nvme0n1 or /dev/disk/by-id/NAME");
}

} // namespace blockhost::platform::proxmox::privileged
