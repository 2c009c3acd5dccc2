// SPDX-License-Identifier: MIT
/// restore --file: single files and folders out of a backup.

#include "subcommands/restore_files.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/verbs.hpp"

#include <array>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

constexpr std::array about_a_vm{"as",  "in-place",    "for",           "all",
                                "off", "expiry-days", "ready-timeout", "force-clock"};

std::string json_of(const image::Unpacked& done, const backup::Backup& from, const std::string& to) {
    return json::python_line(boost::json::object{{"name", from.vm.str()},
                                                 {"backup", from.id},
                                                 {"taken_at", format_instant(from.taken_at)},
                                                 {"to", to},
                                                 {"files", done.files},
                                                 {"folders", done.folders},
                                                 {"links", done.links},
                                                 {"bytes", done.bytes},
                                                 {"left_out", done.left_out}});
}

std::string text_of(const image::Unpacked& done, const backup::Backup& from, const std::string& to) {
    return fmt::format("{} holds {} file(s), {} folder(s) and {} link(s), {}, of {} as of {}", to, done.files,
                       done.folders, done.links, text::human_bytes(done.bytes), from.vm.str(),
                       format_instant(std::chrono::floor<std::chrono::seconds>(from.taken_at)));
}

} // namespace

image::FilesRequest require_files_request(const cli::Arguments& given) {
    const auto paths = given.texts("file");
    const auto to = given.text("to");
    if (paths.empty() || !to)
        throw Error(Code::usage, "--file and --to belong together",
                    "--file names what to restore, and --to the folder that it goes to");
    for (const char* option : about_a_vm)
        if (given.has(option))
            throw Error(Code::usage, fmt::format("--{} is about a VM, and --file restores none", option),
                        "leave out one of them");
    if (given.operands().empty())
        throw Error(Code::usage, "restore --file takes a backup",
                    "'blockhost-libvirt backup list' shows the backups");
    if (to->empty()) throw Error(Code::invalid, "--to names no folder", "name one that is to be made");
    return {image::require_paths(paths), *to};
}

int restore_files(cli::Call& call, const backup::Restic& restic, const image::FilesRequest& request) {
    const backup::Catalogue catalogue(restic.snapshots());
    const backup::Backup& from = catalogue.find(call.arguments.operands().front());
    World world = open_world(call, Intent::look);
    const Interruption interruption;
    const std::string to = std::filesystem::absolute(request.to).lexically_normal().string();
    image::restore_files(world, restic, from, request, interruption, [&](const image::Unpacked& done) {
        if (done.left_out != 0)
            call.printer.warn(fmt::format("{} of what was found there is left out: devices, pipes, sockets, "
                                          "or what has no place of its own",
                                          done.left_out));
        call.printer.answer(call.arguments.has("json") ? json_of(done, from, to) : text_of(done, from, to));
        call.printer.flush_answer();
    });
    return 0;
}

} // namespace blockhost::subcommands
