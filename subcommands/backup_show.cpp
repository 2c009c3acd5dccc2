// SPDX-License-Identifier: MIT
/// backup list, show and extract: which backups there are, and what is in one.

#include "backup/extract.hpp"
#include "backup/last_drill.hpp"
#include "backup/ledger.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/columns.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bk = blockhost::backup;

/// What this host remembers of the repository's backups, beside the repository's own list.
struct Remembered {
    const cli::Call& call;
    std::string place;
    std::optional<bk::Ledger> ledger;

    explicit Remembered(const cli::Call& the_call) : call(the_call) {
        const bk::Settings settings = bk::require_settings(call.paths);
        place = settings.repository;
        ledger = bk::Ledger::existing(call.paths, settings.repository_id);
    }

    /// Of the disks' data; nothing where that is not remembered.
    std::optional<std::uint64_t> bytes(const bk::Backup& backup) {
        const auto made = ledger ? ledger->of(backup.vm, backup.id) : std::nullopt;
        return made ? std::optional(made->data_bytes) : std::nullopt;
    }
    /// "ok" for one that a drill proved or that was found whole; "failed" for one that a drill did not bring
    /// up; empty: nobody looked.
    std::string_view verdict(const bk::Backup& backup) {
        try {
            const auto drill = bk::read_last_drill(call.paths, backup.vm);
            if (drill && drill->snapshot == backup.id) return drill->passed ? "ok" : "failed";
        } catch (const Error& error) {
            call.printer.warn(error.message());
        }
        return ledger && ledger->is_whole(backup.id) ? "ok" : "";
    }
};

std::int64_t age_s(const bk::Backup& backup) {
    return std::chrono::duration_cast<std::chrono::seconds>(now() - backup.taken_at).count();
}

void print_json(cli::Printer& printer, const std::vector<bk::Backup>& all, Remembered& remembered) {
    boost::json::array list;
    for (const bk::Backup& each : all) {
        const auto bytes = remembered.bytes(each);
        const std::string_view verdict = remembered.verdict(each);
        list.push_back(boost::json::object{
            {"id", each.id},
            {"name", each.vm.str()},
            {"uuid", each.uuid.str()},
            {"taken_at", format_instant(each.taken_at)},
            {"operation", each.operation.str()},
            {"instance", each.instance.str()},
            {"age_s", age_s(each)},
            {"size_bytes", bytes ? boost::json::value(*bytes) : boost::json::value(nullptr)},
            {"place", remembered.place},
            {"verdict", verdict.empty() ? boost::json::value(nullptr) : boost::json::value(verdict)}});
    }
    printer.answer(json::python_line(list));
}

void print_table(cli::Printer& printer, const std::vector<bk::Backup>& all, Remembered& remembered) {
    std::vector<std::vector<std::string>> rows{{"BACKUP", "TAKEN", "AGE", "SIZE", "VERDICT", "VM"}};
    for (const bk::Backup& each : all) {
        const auto bytes = remembered.bytes(each);
        const std::string_view verdict = remembered.verdict(each);
        rows.push_back({each.short_id(),
                        format_instant(std::chrono::floor<std::chrono::seconds>(each.taken_at)),
                        age_words(age_s(each)), bytes ? text::human_bytes(*bytes) : "-",
                        verdict.empty() ? "-" : std::string(verdict), each.vm.str()});
    }
    print_columns(printer, rows);
}

void print_one(cli::Printer& printer, const bk::Backup& backup, const bk::Manifest& manifest) {
    const auto line = [&](std::string_view key, const std::string& value) {
        printer.answer(fmt::format("{:<12} {}", key, value));
    };
    line("backup", backup.id);
    line("vm", manifest.vm.str());
    line("uuid", manifest.uuid.str());
    line("taken", format_instant(manifest.taken_at));
    line("consistency", std::string(to_string(manifest.consistency)));
    line("base", manifest.base.empty() ? "-" : manifest.base);
    line("operation", manifest.operation);
    line("made by", manifest.made_by);
    for (const bk::ManifestDisk& disk : manifest.disks)
        line("disk " + disk.name, fmt::format("{}, of which {} in {} chunks", text::human_bytes(disk.bytes),
                                              text::human_bytes(bk::data_bytes(disk)), disk.chunks.size()));
}

} // namespace

int backup_list(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const auto vm = operands.size() > 1 ? std::optional(VmName(operands[1])) : std::nullopt;
    const bk::Catalogue catalogue(open_own_repository(call).snapshots());
    if (catalogue.others() != 0)
        call.printer.warn(fmt::format("{} snapshot(s) of the repository are no backups of this program's",
                                      catalogue.others()));
    Remembered remembered(call);
    (call.arguments.has("json") ? print_json : print_table)(
        call.printer, vm ? catalogue.of(*vm) : catalogue.all(), remembered);
    call.printer.flush_answer();
    return 0;
}

int backup_show(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (operands.size() < 2)
        throw Error(Code::usage, "backup show needs a backup",
                    "'blockhost-libvirt backup list' shows their ids");
    const bk::Restic restic = open_own_repository(call);
    const bk::Catalogue catalogue(restic.snapshots());
    const bk::Backup& backup = catalogue.find(operands[1]);
    print_one(call.printer, backup, bk::manifest_of(restic, backup));
    call.printer.flush_answer();
    return 0;
}

int backup_extract(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const auto to = call.arguments.text("to");
    if (operands.size() < 2 || !to)
        throw Error(Code::usage, "backup extract needs a backup and --to",
                    "'blockhost-libvirt backup list' shows their ids");
    const bk::Restic restic = open_own_repository(call);
    const bk::Catalogue catalogue(restic.snapshots());
    const bk::Backup& backup = catalogue.find(operands[1]);
    const bk::Manifest manifest = bk::manifest_of(restic, backup);
    call.printer.stage("restoring the disks");
    bk::extract(restic, backup, manifest, *to, check_signals);
    for (const bk::ManifestDisk& disk : manifest.disks)
        call.printer.answer(fmt::format("{}/{}.qcow2 is {} of {} as of {}", *to, disk.name, disk.name,
                                        manifest.vm.str(), format_instant(manifest.taken_at)));
    call.printer.flush_answer();
    return 0;
}

} // namespace blockhost::subcommands
