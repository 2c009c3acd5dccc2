// SPDX-License-Identifier: MIT
#include "backup/imgtree.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/module.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;

constexpr const char* helper = "blockhost-imgtree";

std::string program() {
    const auto file = helper_file(helper);
    if (!file)
        throw Error(Code::program, fmt::format("the program {} is missing", helper),
                    "install the package blockhost-provisioner-libvirt anew");
    return file->string();
}

Error strange(std::string_view what) {
    return Error(Code::program, fmt::format("{} answers otherwise than expected: {}", helper, what),
                 "see that it is of this program's version");
}

bj::object source(const FrozenDisk& disk, std::uint64_t chunk_bytes) {
    bj::object one{{"name", disk.name}, {"chunk_bytes", chunk_bytes}};
    if (!disk.bitmap.empty()) one["bitmap"] = disk.bitmap;
    if (!disk.socket.empty()) {
        one["socket"] = disk.socket.string();
        return one;
    }
    one["file"] = disk.file.string();
    one["format"] = disk.format;
    return one;
}

std::uint64_t count_at(const bj::array& run, std::size_t at) {
    const auto* count = run[at].if_int64();
    if (count == nullptr || *count < 0) throw strange("a run that is none");
    return static_cast<std::uint64_t>(*count);
}

std::vector<ChunkLook> looks_in(const bj::value& disk) {
    const bj::value* list = json::member(disk, "looks");
    if (list == nullptr || !list->is_array()) throw strange("no list of runs");
    std::vector<ChunkLook> looks;
    for (const bj::value& each : list->get_array()) {
        const bj::array* run = each.if_array();
        if (run == nullptr || run->size() != 4 || !(*run)[2].is_bool() || !(*run)[3].is_bool())
            throw strange("a run that is none");
        looks.push_back({{count_at(*run, 0), count_at(*run, 1)}, (*run)[2].get_bool(), (*run)[3].get_bool()});
    }
    return looks;
}

/// The helper's reason, without its name.
std::string words_of(const ProcessResult& result) {
    const auto lines = text::last_lines(result.err, 1, 400);
    const std::string said =
        lines.empty() ? fmt::format("it ended with status {}", result.exit_status) : lines.front();
    const std::string prefix = std::string(helper) + ": ";
    return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
}

DiskLook look_at(const FrozenDisk& disk, std::uint64_t chunk_bytes, const std::function<void()>& check) {
    ProcessSpec spec{.program = program(), .arguments = {"look"}};
    spec.input =
        bj::serialize(bj::object{{"disks", bj::array{source(disk, chunk_bytes)}}, {"caller", getpid()}}) +
        "\n";
    spec.deadline = 30min;
    spec.output_cap = 256u << 20;
    spec.check = check;
    const ProcessResult result = run(spec);
    if (!result.ok())
        throw Error(Code::io,
                    fmt::format("the disk {} cannot be read: {}", disk.file.string(), words_of(result)),
                    "see that nobody else has it open for writing");
    const bj::value answer = json::parse(result.out, helper);
    const bj::value* disks = json::member(answer, "disks");
    if (disks == nullptr || !disks->is_array() || disks->get_array().size() != 1)
        throw strange("another disk");
    const bj::value& only = disks->get_array().front();
    const auto bytes = json::count_in(only, "bytes");
    if (!bytes || json::string_or(only, "name", "") != disk.name) throw strange("another disk");
    return {disk.name, *bytes, chunk_bytes, looks_in(only)};
}

} // namespace

std::vector<DiskLook> look(const std::vector<FrozenDisk>& disks, const std::function<void()>& check) {
    std::vector<DiskLook> all;
    for (const FrozenDisk& disk : disks)
        all.push_back(
            look_at(disk, disk.chunk_bytes != 0 ? disk.chunk_bytes : chunk_bytes_for(disk.bytes), check));
    return all;
}

bool can_mount_views() {
    constexpr unsigned misc = 10, fuse = 229; // Linux, admin-guide/devices.txt
    struct stat found {};
    const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    return device && fstat(device.get(), &found) == 0 && S_ISCHR(found.st_mode) &&
           found.st_rdev == makedev(misc, fuse);
}

namespace {

ProcessSpec with_plan(std::string_view verb, const View& view, ProcessSpec inside) {
    bj::array disks;
    for (const FrozenDisk& disk : view.disks) {
        bj::array times;
        for (const TimedRun& each : disk.times)
            times.push_back(bj::array{each.run.first, each.run.count, each.at});
        bj::object one = source(disk, disk.chunk_bytes);
        one["bytes"] = disk.bytes;
        one["times"] = std::move(times);
        if (disk.overlay) one["overlay"] = true;
        disks.push_back(std::move(one));
    }
    bj::object files;
    for (const auto& [name, content] : view.files) files[name] = content;
    const bj::object plan{{"disks", std::move(disks)},
                          {"caller", getpid()},
                          {"mount_point", view.mount_point.string()},
                          {"copy_to", view.copy_to.string()},
                          {"uid", view.user ? view.user->uid : 0},
                          {"gid", view.user ? view.user->gid : 0},
                          {"at", view.at},
                          {"files", std::move(files)}};
    inside.arguments.insert(inside.arguments.begin(), {std::string(verb), inside.program});
    inside.program = program();
    inside.input = bj::serialize(plan) + "\n" + inside.input;
    return inside;
}

} // namespace

ProcessSpec within_view(const View& view, ProcessSpec inside) {
    return with_plan("store", view, std::move(inside));
}

ProcessSpec filling(const View& view, ProcessSpec inside) {
    return with_plan("fill", view, std::move(inside));
}

std::string helper_words(const ProcessResult& result) {
    if (result.ok() || result.err.find(std::string(helper) + ": ") == result.err.npos) return "";
    return words_of(result);
}

} // namespace blockhost::backup
