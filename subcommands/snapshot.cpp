// SPDX-License-Identifier: MIT
/// snapshot: takes undo snapshots of VMs, shows them, undoes and keeps them.

#include "operations/snapshot/snapshot.hpp"
#include "base/boot_clock.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

VmName named(const cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (operands.size() < 2)
        throw Error(Code::usage, fmt::format("snapshot {} needs a VM", operands.front()),
                    "'blockhost-libvirt list' shows the names");
    return VmName(operands[1]);
}

int say(const cli::Call& call, const std::string& line) {
    call.printer.answer(line);
    call.printer.flush_answer();
    return 0;
}

int take(cli::Call& call) {
    const VmName name = named(call);
    const auto span = undo_span(call);
    World world = open_world(call, Intent::change);
    const UndoSnapshot taken = operations::take_snapshot(world, name, span);
    return say(call, fmt::format("Snapshot taken of {}: it can be undone until {}", name.str(),
                                 format_instant(taken.until)));
}

int undo(cli::Call& call) {
    const VmName name = named(call);
    require_no_signature(
        call, "an undo",
        fmt::format("'blockhost-libvirt snapshot keep {}' loses nothing that was written; an "
                    "admin may change require_signatures in agent.json for an undo",
                    name.str()));
    World world = open_world(call, Intent::change);
    const operations::Undone end = operations::undo_snapshot(world, name);
    return say(call, fmt::format("Snapshot undone: {} has its disk as it was, and {}", name.str(),
                                 end == operations::Undone::running ? "runs" : "is off"));
}

int keep(cli::Call& call) {
    const VmName name = named(call);
    World world = open_world(call, Intent::change);
    operations::keep_snapshot(world, name, Interruption());
    return say(call, fmt::format("Snapshot kept: {} has its disk as it is, and what was before is gone",
                                 name.str()));
}

/// What the snapshot takes room with: the overlay, or the disk of before.
const std::string& kept_file(const UndoSnapshot& snapshot) {
    return snapshot.replaced.empty() ? snapshot.file : snapshot.replaced;
}

/// An undo snapshot with what it takes.
struct Listed {
    VmName name;
    UndoSnapshot snapshot;
    std::uint64_t bytes = 0;
};

std::uint64_t allocated(const Folder& storage, const std::string& file) {
    struct stat seen {};
    if (fstatat(storage.fd(), file.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0)
        throw errno_error("cannot look at", (storage.path() / file).string(), errno);
    constexpr std::uint64_t block = 512;
    return static_cast<std::uint64_t>(seen.st_blocks) * block;
}

std::vector<Listed> all_of(World& world, const std::optional<VmName>& only) {
    std::vector<Listed> all;
    const auto storage = world.storage_folder();
    const Database database = world.registry.read();
    for (const VmRecord& record : database.records()) {
        if (record.status == RecordStatus::destroyed || (only && record.name != *only)) continue;
        const auto snapshot = undo_snapshot_of(world, observe(world, record.name));
        if (snapshot && storage)
            all.push_back({record.name, *snapshot, allocated(*storage, kept_file(*snapshot))});
    }
    return all;
}

bj::object to_json(const Listed& each) {
    return {{"name", each.name.str()},
            {"taken_at", format_instant(each.snapshot.taken)},
            {"until", format_instant(each.snapshot.until)},
            {"half_kept", each.snapshot.half_kept},
            {"bytes", each.bytes},
            {"kind", each.snapshot.replaced.empty() ? "overlay" : "replaced"},
            {"file", kept_file(each.snapshot)}};
}

void print_table(cli::Printer& printer, const std::vector<Listed>& all) {
    constexpr std::string_view row = "{:<25}  {:<32}  {:<32}  {}";
    printer.answer(fmt::format(row, "VM", "TAKEN", "UNTIL", "SIZE"));
    for (const Listed& each : all)
        printer.answer(
            fmt::format(row, each.name.str(), format_instant(each.snapshot.taken),
                        each.snapshot.half_kept ? "half kept" : format_instant(each.snapshot.until),
                        text::human_bytes(each.bytes)));
}

int list(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const auto only = operands.size() > 1 ? std::optional(VmName(operands[1])) : std::nullopt;
    World world = open_world(call, Intent::look);
    const auto all = all_of(world, only);
    if (call.arguments.has("json")) {
        bj::array array;
        for (const Listed& each : all) array.push_back(to_json(each));
        call.printer.answer(json::python_line(array));
    } else {
        print_table(call.printer, all);
        const auto pool = world.hypervisor().find_pool(world.pool);
        if (pool) call.printer.say(text::human_bytes(pool->available_bytes) + " are free beside the disks");
    }
    call.printer.flush_answer();
    return 0;
}

int run(cli::Call& call) {
    const std::string& what = call.arguments.operands().front();
    if (what != "take" && call.arguments.has("for"))
        throw Error(Code::usage, "--for goes with snapshot take only", "leave it out");
    if (what != "list" && call.arguments.has("json"))
        throw Error(Code::usage, "--json goes with snapshot list only", "leave it out");
    if (what == "list") return list(call);
    if (!call.mock) require_root("snapshot " + what);
    if (what == "take") return take(call);
    if (what == "undo") return undo(call);
    return keep(call);
}

constexpr std::string_view details =
    "take puts an overlay on the VM's disk, in a moment and while it runs: what is written from then on goes "
    "there, and the disk stays what it was. A VM has one such snapshot at most. It has the disk as after a "
    "loss of "
    "power, and no memory.\n\n"
    "undo throws away what was written since: the VM is forced off, has its disk as it was, and is started "
    "again if "
    "it ran. Where agent.json requires signatures of everybody, it is refused.\n\n"
    "keep makes what was written since a part of the disk, while the VM runs or is off, which takes as long "
    "as "
    "writing it. A keep that was interrupted goes on at a repeat; until then the snapshot is half kept, and "
    "cannot be "
    "undone. gc keeps each snapshot whose time is over.\n\n"
    "restore --in-place leaves such a snapshot, too: there the disk of before is kept aside, undo brings it "
    "back, and "
    "keep deletes it.\n\n"
    "list shows them: when taken, until when they can be undone, what they take by now.\n\n"
    "While a VM has a snapshot, its disk does not grow. destroy removes the snapshot with the VM.";

} // namespace

std::chrono::seconds undo_span(const cli::Call& call) {
    const auto text = call.arguments.text("for");
    if (!text) return operations::usual_undo_span;
    const auto span = parse_span(*text);
    if (!span || *span > operations::longest_undo_span)
        throw Error(Code::invalid, fmt::format("--for: '{}' is not a duration", text::printable(*text)),
                    "write 30m, 12h or 7d; up to 30d");
    return *span;
}

cli::Option undo_span_option(std::string_view help) {
    return {.name = "for",
            .kind = cli::Option::Kind::text,
            .value = "SPAN",
            .default_text = "24h",
            .help = help,
            .offers = {"1h", "24h", "7d"}};
}

cli::Row snapshot_row() {
    return {
        .verb = "snapshot",
        .summary = "make the changes of a VM's disk undoable for a while",
        .details = details,
        .operands = {{.name = "WHAT", .help = "what to do", .choices = {"take", "list", "undo", "keep"}},
                     {.name = "NAME",
                      .help = "the VM; for list all of them when left out",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm}},
        .options = {undo_span_option("for take: how long it can be undone: 30m, 12h or 7d; then gc keeps it"),
                    {.name = "json", .help = "for list: print a JSON list"}},
        .output = {.text = "of list a table, else one line: what was done",
                   .json_keys = {"name", "taken_at", "until", "half_kept", "bytes", "kind", "file"},
                   .json_call = "list --json",
                   .unheard = "the snapshot is taken, undone or kept all the same; 'snapshot list' shows it"},
        .examples = {{"take web-001", "before something that may go wrong"},
                     {"take web-001 --for 7d", "for a week"},
                     {"undo web-001", "it went wrong"},
                     {"keep web-001", "all is well, and the room of the overlay is wanted back"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::destroys,
        .run = run,
    };
}

} // namespace blockhost::subcommands
