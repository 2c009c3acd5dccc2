// SPDX-License-Identifier: MIT
#include "backup/manifest.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using json::Fields;

constexpr std::int64_t format = 1;
constexpr std::int64_t sector = 512, most = std::int64_t(1) << 62;
constexpr std::size_t most_disks = 32, longest_text = 200;
constexpr std::array<std::string_view, 3> consistencies{"frozen", "crash", "off"};

/// A target of libvirt's: letters and digits.
bool is_target(std::string_view name) {
    return name.size() >= 2 && name.size() <= 16 &&
           std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string text_in(Fields& fields, std::string_view key) {
    std::string found = fields.text(key);
    if (found.empty() || found.size() > longest_text || text::printable(found) != found)
        throw fields.refusal(key, "is no short plain text");
    return found;
}

std::uint64_t count_at(const bj::array& pair, std::size_t at) {
    const bj::value& value = pair.at(at);
    if (const auto* plain = value.if_int64(); plain && *plain >= 0) return static_cast<std::uint64_t>(*plain);
    return most; // beyond every disk
}

ChunkSet chunks_in(Fields& fields, std::uint64_t count) {
    const bj::value& value = fields.value("chunks");
    if (!value.is_array()) throw fields.refusal("chunks", "is no list");
    ChunkSet chunks;
    std::uint64_t end = 0;
    for (const bj::value& each : value.get_array()) {
        const bj::array* pair = each.if_array();
        if (pair == nullptr || pair->size() != 2) throw fields.refusal("chunks", "has what is no pair");
        const std::uint64_t first = count_at(*pair, 0), length = count_at(*pair, 1);
        if (first < end || length == 0) throw fields.refusal("chunks", "are not in ascending order");
        if (first >= count || length > count - first)
            throw fields.refusal("chunks", "lie behind the disk's end");
        chunks.append(first, length);
        end = first + length;
    }
    return chunks;
}

ManifestDisk disk_in(const bj::value& value, const std::string& where) {
    Fields fields(value, where);
    ManifestDisk disk;
    disk.name = fields.text("name");
    if (!is_target(disk.name)) throw fields.refusal("name", "is no disk's");
    disk.bytes =
        static_cast<std::uint64_t>(fields.integer("bytes", sector, static_cast<std::int64_t>(most_disk)));
    if (disk.bytes % sector != 0) throw fields.refusal("bytes", "is no whole number of sectors");
    disk.chunk_bytes = static_cast<std::uint64_t>(fields.integer(
        "chunk_bytes", static_cast<std::int64_t>(least_chunk), static_cast<std::int64_t>(most_chunk)));
    if (!std::has_single_bit(disk.chunk_bytes)) throw fields.refusal("chunk_bytes", "is no power of two");
    const std::uint64_t count = chunk_count(disk.bytes, disk.chunk_bytes);
    if (count > most_chunks) throw fields.refusal("chunk_bytes", "makes more chunks than a backup has");
    disk.chunks = chunks_in(fields, count);
    fields.finish();
    return disk;
}

std::vector<ManifestDisk> disks_in(Fields& fields) {
    const bj::value& value = fields.value("disks");
    if (!value.is_array() || value.get_array().empty() || value.get_array().size() > most_disks)
        throw fields.refusal("disks", fmt::format("is no list of 1 to {} disks", most_disks));
    std::vector<ManifestDisk> disks;
    for (const bj::value& each : value.get_array()) {
        ManifestDisk disk = disk_in(each, fmt::format("{}: disk {}", fields.where(), disks.size() + 1));
        if (std::ranges::find(disks, disk.name, &ManifestDisk::name) != disks.end())
            throw fields.refusal("disks", "has the disk " + disk.name + " twice");
        disks.push_back(std::move(disk));
    }
    return disks;
}

Uuid uuid_in(Fields& fields) {
    const auto uuid = Uuid::try_parse(fields.text("uuid"));
    if (!uuid) throw fields.refusal("uuid", "is no UUID");
    return *uuid;
}

Instant instant_in(Fields& fields, std::string_view key) {
    const auto at = parse_instant(fields.text(key));
    if (!at) throw fields.refusal(key, "is no time");
    return *at;
}

} // namespace

std::string_view to_string(Consistency consistency) {
    return consistencies[static_cast<std::size_t>(consistency)];
}

std::string render(const Manifest& manifest) {
    bj::array disks;
    for (const ManifestDisk& disk : manifest.disks) {
        bj::array chunks;
        for (const ChunkRun& run : disk.chunks.runs()) chunks.push_back(bj::array{run.first, run.count});
        disks.push_back(bj::object{{"name", disk.name},
                                   {"bytes", disk.bytes},
                                   {"chunk_bytes", disk.chunk_bytes},
                                   {"chunks", std::move(chunks)}});
    }
    bj::object document{{"format", format},
                        {"vm", manifest.vm.str()},
                        {"uuid", manifest.uuid.str()},
                        {"instance", manifest.instance},
                        {"operation", manifest.operation},
                        {"taken_at", format_instant(manifest.taken_at)},
                        {"consistency", to_string(manifest.consistency)},
                        {"made_by", manifest.made_by}};
    if (!manifest.base.empty()) document["base"] = manifest.base;
    document["disks"] = std::move(disks);
    return bj::serialize(document) + "\n";
}

Manifest parse_manifest(std::string_view text, std::string_view name) {
    const bj::value document =
        json::parse_strictly(text, name, json::Limits{.bytes = largest_manifest, .depth = 6});
    Fields fields(document, std::string(name));
    if (const auto found = fields.integer("format", 0, most); found != format)
        throw Error(Code::invalid,
                    fmt::format("{} has format {}; this version reads {}", name, found, format),
                    "use the version of this program that made the backup, or a later one");
    const auto consistency = std::ranges::find(consistencies, fields.text("consistency"));
    if (consistency == consistencies.end()) throw fields.refusal("consistency", "is not known");
    Manifest manifest{.vm = VmName(fields.text("vm")),
                      .uuid = uuid_in(fields),
                      .instance = text_in(fields, "instance"),
                      .operation = text_in(fields, "operation"),
                      .taken_at = instant_in(fields, "taken_at"),
                      .consistency = static_cast<Consistency>(consistency - consistencies.begin()),
                      .base = fields.has("base") ? text_in(fields, "base") : "",
                      .disks = disks_in(fields),
                      .made_by = text_in(fields, "made_by")};
    fields.finish();
    return manifest;
}

} // namespace blockhost::backup
