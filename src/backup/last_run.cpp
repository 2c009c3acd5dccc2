// SPDX-License-Identifier: MIT
#include "backup/last_run.hpp"

#include "base/text/strict_json.hpp"
#include "store/private_folder.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using json::Fields;

constexpr std::int64_t format = 1, any = std::int64_t(1) << 62;
constexpr std::size_t largest = 256u << 20;
constexpr const char* folder_name = "backup";

std::string file_name(const VmName& vm) {
    return vm.str() + ".json";
}

std::vector<TimedRun> times_in(Fields& fields) {
    const bj::value& list = fields.value("times");
    if (!list.is_array()) throw fields.refusal("times", "is no list");
    std::vector<TimedRun> times;
    std::int64_t end = 0;
    for (const bj::value& each : list.get_array()) {
        const bj::array* run = each.if_array();
        if (run == nullptr || run->size() != 3 ||
            !std::ranges::all_of(*run, [](const bj::value& part) { return part.is_int64(); }))
            throw fields.refusal("times", "has what is no run");
        const std::int64_t first = (*run)[0].get_int64(), count = (*run)[1].get_int64();
        if (first < end || count <= 0 || count > any - first)
            throw fields.refusal("times", "has a run out of place");
        end = first + count;
        times.push_back(
            {{static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(count)}, (*run)[2].get_int64()});
    }
    return times;
}

LastDisk disk_in(const bj::value& value) {
    Fields fields(value, "a disk");
    LastDisk disk{.name = fields.text("name"),
                  .bytes = static_cast<std::uint64_t>(fields.integer("bytes", 1, any)),
                  .chunk_bytes =
                      static_cast<std::uint64_t>(fields.integer("chunk_bytes", least_chunk, most_chunk)),
                  .stamp = fields.text("stamp"),
                  .times = times_in(fields)};
    fields.finish();
    return disk;
}

LastRun run_in(const std::string& text) {
    const bj::value document = json::parse_strictly(text, "it", {.bytes = largest, .depth = 8});
    Fields fields(document, "it");
    if (fields.integer("format", 0, any) != format) throw fields.refusal("format", "is another version's");
    const auto uuid = Uuid::try_parse(fields.text("uuid"));
    if (!uuid) throw fields.refusal("uuid", "is no UUID");
    LastRun run{
        fields.text("repository_id"), fields.text("snapshot"), *uuid, fields.integer("at", 0, any), {}};
    const bj::value& disks = fields.value("disks");
    if (!disks.is_array()) throw fields.refusal("disks", "is no list");
    for (const bj::value& each : disks.get_array()) run.disks.push_back(disk_in(each));
    run.checkpoint = fields.maybe_text("checkpoint").value_or("");
    run.checkpoint_xml = fields.maybe_text("checkpoint_xml").value_or("");
    fields.finish();
    return run;
}

} // namespace

const LastDisk* LastRun::disk(const std::string& name) const {
    const auto found = std::ranges::find(disks, name, &LastDisk::name);
    return found == disks.end() ? nullptr : &*found;
}

namespace {

std::optional<LastRun> read_any(const Paths& paths, const VmName& vm) {
    const auto state = paths.state.open();
    const auto folder = state ? store::private_folder(*state, folder_name) : std::nullopt;
    const auto text = folder ? folder->read(file_name(vm), largest) : std::nullopt;
    return text ? std::optional(run_in(*text)) : std::nullopt;
}

} // namespace

std::string remembered_checkpoint(const Paths& paths, const VmName& vm) {
    try {
        const auto run = read_any(paths, vm);
        return run ? run->checkpoint : "";
    } catch (const Error&) {
        return "";
    }
}

std::optional<LastRun> read_last_run(const Paths& paths, const VmName& vm, const Uuid& uuid,
                                     const std::string& repository_id, std::string& why) {
    try {
        auto run = read_any(paths, vm);
        if (!run) return std::nullopt;
        if (run->uuid != uuid)
            why = "it was an earlier VM of that name";
        else if (run->repository_id != repository_id)
            why = "it went to another repository";
        else
            return run;
    } catch (const Error& error) {
        why = error.message();
    }
    return std::nullopt;
}

void write_last_run(const Paths& paths, const VmName& vm, const LastRun& run) {
    bj::array disks;
    for (const LastDisk& disk : run.disks) {
        bj::array times;
        for (const TimedRun& each : disk.times)
            times.push_back(bj::array{each.run.first, each.run.count, each.at});
        disks.push_back(bj::object{{"name", disk.name},
                                   {"bytes", disk.bytes},
                                   {"chunk_bytes", disk.chunk_bytes},
                                   {"stamp", disk.stamp},
                                   {"times", std::move(times)}});
    }
    bj::object document{
        {"format", format},         {"uuid", run.uuid.str()}, {"repository_id", run.repository_id},
        {"snapshot", run.snapshot}, {"at", run.at},           {"disks", std::move(disks)}};
    if (!run.checkpoint.empty()) {
        document["checkpoint"] = run.checkpoint;
        document["checkpoint_xml"] = run.checkpoint_xml;
    }
    const Folder folder = store::make_private_folder(paths.state.make(), folder_name);
    folder.remove_temporaries(file_name(vm)); // of one that died: the VM is the caller's alone
    folder.replace(file_name(vm), bj::serialize(document) + "\n", {.mode = 0600, .uid = {}, .gid = {}});
}

std::int64_t time_of_run(std::int64_t now, const std::optional<LastRun>& last) {
    return last ? std::max(now, last->at + 1) : now;
}

} // namespace blockhost::backup
