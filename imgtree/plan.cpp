// SPDX-License-Identifier: MIT
#include "imgtree/plan.hpp"

#include "base/text/strict_json.hpp"

#include <bit>
#include <boost/json/array.hpp>

namespace blockhost::imgtree {

namespace {

namespace bj = boost::json;
using backup::TimedRun;
using json::Fields;

constexpr std::int64_t any = std::int64_t(1) << 62;

const bj::array& list(Fields& fields, std::string_view key) {
    const bj::value& value = fields.value(key);
    if (!value.is_array()) throw fields.refusal(key, "is no list");
    return value.get_array();
}

std::vector<TimedRun> times_in(Fields& fields, std::uint64_t count) {
    std::vector<TimedRun> times;
    std::uint64_t end = 0;
    for (const bj::value& each : list(fields, "times")) {
        const bj::array* three = each.if_array();
        if (three == nullptr || three->size() != 3) throw fields.refusal("times", "has what is no run");
        const auto first = three->at(0).to_number<std::uint64_t>(),
                   length = three->at(1).to_number<std::uint64_t>();
        if (first < end || first >= count || length == 0 || length > count - first)
            throw fields.refusal("times", "has a run out of place");
        times.push_back({{first, length}, three->at(2).to_number<std::int64_t>()});
        end = first + length;
    }
    return times;
}

Disk disk_in(const bj::value& value) {
    Fields fields(value, "disk");
    Disk disk{.name = fields.text("name"),
              .socket = fields.maybe_text("socket").value_or(""),
              .file = fields.maybe_text("file").value_or(""),
              .format = fields.maybe_text("format").value_or(""),
              .bitmap = fields.maybe_text("bitmap").value_or("")};
    disk.chunk_bytes =
        static_cast<std::uint64_t>(fields.integer("chunk_bytes", backup::least_chunk, backup::most_chunk));
    if (!std::has_single_bit(disk.chunk_bytes)) throw fields.refusal("chunk_bytes", "is no power of two");
    disk.bytes = static_cast<std::uint64_t>(fields.maybe_integer("bytes", 0, backup::most_disk).value_or(0));
    disk.overlay = fields.maybe_flag("overlay").value_or(false);
    if (fields.has("times")) disk.times = times_in(fields, backup::chunk_count(disk.bytes, disk.chunk_bytes));
    fields.finish();
    return disk;
}

} // namespace

Plan parse_plan(std::string_view text) {
    const bj::value document = json::parse_strictly(text, "the plan", {.bytes = 512u << 20, .depth = 8});
    Fields fields(document, "the plan");
    Plan plan;
    for (const bj::value& each : list(fields, "disks")) plan.disks.push_back(disk_in(each));
    plan.caller = static_cast<int>(fields.maybe_integer("caller", 0, INT32_MAX).value_or(0));
    plan.mount_point = fields.maybe_text("mount_point").value_or("");
    plan.copy_to = fields.maybe_text("copy_to").value_or("");
    plan.uid = static_cast<std::uint32_t>(fields.maybe_integer("uid", 0, UINT32_MAX).value_or(0));
    plan.gid = static_cast<std::uint32_t>(fields.maybe_integer("gid", 0, UINT32_MAX).value_or(0));
    plan.at = fields.maybe_integer("at", 0, any).value_or(0);
    if (fields.has("files"))
        for (auto& [name, content] : fields.text_by_name("files")) plan.files.push_back({name, content});
    fields.finish();
    return plan;
}

} // namespace blockhost::imgtree
