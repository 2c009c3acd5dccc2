// SPDX-License-Identifier: MIT
/// backup: backs up a VM; where backups go, which there are, and whether they are whole.

#include "operations/backup.hpp"
#include "backup/extract.hpp"
#include "backup/repository.hpp"
#include "base/files/given_file.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace bk = blockhost::backup;

void check_signals() {
    Interruption().check();
}

void require_real_backups(const cli::Call& call) {
    if (call.mock)
        throw Error(Code::config, "backup has no simulated repository",
                    "leave out --mock; a repository in a folder will do");
    require_root("what has to do with backups");
}

std::optional<std::string> given_password(const cli::Call& call) {
    const auto file = call.arguments.text("password-file");
    if (!file) return std::nullopt;
    const auto text = files::read_given(*file, 4096);
    const std::string password(text::trim(text.value_or("")));
    if (password.empty() || password.find('\n') != password.npos)
        throw Error(Code::invalid, *file + " holds no password", "it is the one line of the recovery sheet");
    return password;
}

bk::Restic open_own_repository(const cli::Call& call) {
    const bk::Settings settings = bk::require_settings(call.paths);
    bk::Restic restic = bk::open_repository(call.paths, check_signals);
    restic.version();
    bk::require_same_repository(restic, settings);
    return restic;
}

namespace {

constexpr std::string_view kept_apart = "Keep this sheet where the host cannot be: whoever has it can read "
                                        "every backup, and without it nobody can.";

void print_sheet(cli::Printer& printer, const bk::SetupEnd& end, const std::string& instance) {
    printer.answer("RECOVERY SHEET");
    printer.answer("repository     " + end.settings.repository);
    printer.answer("repository id  " + end.settings.repository_id);
    printer.answer("password       " + end.password);
    printer.answer("host           " + instance);
    printer.answer(std::string(kept_apart));
}

int set_up(cli::Call& call) {
    const auto repository = call.arguments.text("repository");
    if (!repository)
        throw Error(Code::usage, "backup setup needs --repository", "name a folder on another disk or host");
    const World world = open_world(call, Intent::change);
    bk::SetupRequest request{.repository = *repository, .password = given_password(call)};
    if (const auto user = call.arguments.text("user")) request.user = *user;
    call.printer.stage("setting up the repository");
    const bk::SetupEnd end = bk::set_up(call.paths, world.instance, request, check_signals);
    if (end.what == bk::SetupEnd::What::was_there)
        call.printer.answer("backups go to " + end.settings.repository + " already");
    else
        print_sheet(call.printer, end, world.instance.str());
    call.printer.flush_answer();
    return 0;
}

void print_json(cli::Printer& printer, const std::vector<bk::Backup>& all) {
    boost::json::array list;
    for (const bk::Backup& each : all)
        list.push_back(boost::json::object{{"id", each.id},
                                           {"name", each.vm.str()},
                                           {"uuid", each.uuid.str()},
                                           {"taken_at", format_instant(each.taken_at)},
                                           {"operation", each.operation.str()},
                                           {"instance", each.instance.str()}});
    printer.answer(json::python_line(list));
}

void print_table(cli::Printer& printer, const std::vector<bk::Backup>& all) {
    constexpr std::string_view row = "{:<8}  {:<25}  {}";
    printer.answer(fmt::format(row, "BACKUP", "TAKEN", "VM"));
    for (const bk::Backup& each : all)
        printer.answer(fmt::format(row, each.short_id(),
                                   format_instant(std::chrono::floor<std::chrono::seconds>(each.taken_at)),
                                   each.vm.str()));
}

int list(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const auto vm = operands.size() > 1 ? std::optional(VmName(operands[1])) : std::nullopt;
    const bk::Catalogue catalogue(open_own_repository(call).snapshots());
    if (catalogue.others() != 0)
        call.printer.warn(fmt::format("{} snapshot(s) of the repository are no backups of this program's",
                                      catalogue.others()));
    (call.arguments.has("json") ? print_json : print_table)(call.printer,
                                                            vm ? catalogue.of(*vm) : catalogue.all());
    call.printer.flush_answer();
    return 0;
}

int check(cli::Call& call) {
    const bk::Restic restic = open_own_repository(call);
    const auto percent = call.arguments.integer("read-data-subset");
    call.printer.stage(percent ? "checking the repository, and reading data" : "checking the repository");
    restic.verify(percent ? std::optional(static_cast<unsigned>(*percent)) : std::nullopt);
    call.printer.answer(percent ? fmt::format("the repository is whole; {} % of its data was read", *percent)
                                : "the repository is whole; its data was not read");
    call.printer.flush_answer();
    return 0;
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

int show(cli::Call& call) {
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

int extract(cli::Call& call) {
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

std::string words_of(const bk::Progressed& how) {
    const std::uint64_t percent = how.bytes_all == 0 ? 0 : how.bytes_done * 100 / how.bytes_all;
    const std::string left = how.left ? fmt::format(", {} s left", how.left->count()) : "";
    return fmt::format("{} % of {}{}", percent, text::human_bytes(how.bytes_all), left);
}

boost::json::value milliseconds_of(const std::optional<std::chrono::milliseconds>& span) {
    return span ? boost::json::value(span->count()) : boost::json::value();
}

int back_up(cli::Call& call) {
    const VmName name(call.arguments.operands().front());
    const bk::Settings settings = bk::require_settings(call.paths);
    const bk::Restic look_first = open_own_repository(call);
    World world = open_world(call, Intent::change);
    call.printer.about_vm(name.str());
    const Interruption interruption;
    const operations::BackupEnd end =
        operations::back_up(world, name, look_first, settings, interruption,
                            [&](const bk::Progressed& how) { call.printer.detail(words_of(how)); });
    if (call.arguments.has("json"))
        call.printer.answer(
            json::python_line(boost::json::object{{"id", end.snapshot},
                                                  {"name", name.str()},
                                                  {"disk_bytes", end.disk_bytes},
                                                  {"data_bytes", end.data_bytes},
                                                  {"stored_bytes", end.stored_bytes},
                                                  {"chunks", end.chunks},
                                                  {"chunks_read", end.chunks_read},
                                                  {"consistency", to_string(end.consistency)},
                                                  {"frozen_ms", milliseconds_of(end.frozen)}}));
    else
        call.printer.answer(fmt::format("{} is backed up as {}: {} of data, {} new in the repository",
                                        name.str(), end.snapshot.substr(0, 8),
                                        text::human_bytes(end.data_bytes),
                                        text::human_bytes(end.stored_bytes)));
    call.printer.flush_answer();
    return 0;
}

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string& what = operands.front();
    require_real_backups(call);
    if (what != "list" && what != "show" && what != "extract" && operands.size() > 1)
        throw Error(Code::usage, fmt::format("backup {} takes nothing behind it", what), "leave it out");
    if (what == "setup") return set_up(call);
    if (what == "list") return list(call);
    if (what == "show") return show(call);
    if (what == "extract") return extract(call);
    if (what == "check") return check(call);
    return back_up(call);
}

constexpr std::string_view details =
    "backup NAME backs up a VM, whether it runs, is paused or is off. Its disk is stored as chunks, each "
    "chunk "
    "that the repository has already only once; what has no data takes no room. With it goes what is needed "
    "to "
    "make the VM anew: its definition, its record, its seed. A VM that runs is held still for a moment, by "
    "its "
    "guest agent, and runs on while its disk is read as it was then; later backups read what was written "
    "since. "
    "One that is off cannot be started while its disk is read. Stop, start and others wait for a backup for "
    "up "
    "to 20 s, and destroy and kill end it. A backup that was interrupted leaves nothing that counts as "
    "one.\n\n"
    "setup makes the repository that this host's backups go to, or joins one that is empty or has backups of "
    "this host "
    "alone, and prints the recovery sheet: address and password, without which no backup can be read. The "
    "password "
    "stays in /etc/blockhost/backup.password, for root alone. A repeat finishes what was interrupted.\n\n"
    "list shows the backups, the oldest first; show tells what one of them holds, which is named by the "
    "first digits of its "
    "id or as NAME@latest.\n\n"
    "extract restores a backup's disks as qcow2 images into a new folder, with the backup's other files. "
    "Each chunk that the "
    "manifest names has to come once, with its size; otherwise nothing is left there.\n\n"
    "check looks whether the repository is whole; with --read-data-subset it also reads that much of its "
    "data, chosen "
    "at random.\n\n"
    "The store is restic(1), which runs as a user of its own (blockhost-backup) and at low priority.";

} // namespace

cli::Row backup_row() {
    return {
        .verb = "backup",
        .summary = "back up a VM; set up, list and check backups",
        .details = details,
        .operands = {{.name = "WHAT",
                      .help = "the name of a VM to back up; or one of setup, list, show, extract, check",
                      .meaning = cli::Operand::Meaning::existing_vm},
                     {.name = "WHICH",
                      .help = "for list: a VM; for show and extract: a backup",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm}},
        .options = {{.name = "repository",
                     .kind = cli::Option::Kind::text,
                     .value = "ADDRESS",
                     .help =
                         "for setup: a folder's absolute path, sftp:…, rest:… or rclone:…, as restic has it"},
                    {.name = "password-file",
                     .kind = cli::Option::Kind::file,
                     .value = "FILE",
                     .help = "for setup: the password of a repository that is there"},
                    {.name = "user",
                     .kind = cli::Option::Kind::text,
                     .value = "USER",
                     .default_text = bk::usual_user,
                     .help = "for setup: the user that restic runs as"},
                    {.name = "read-data-subset",
                     .kind = cli::Option::Kind::integer,
                     .value = "PERCENT",
                     .min = 1,
                     .max = 100,
                     .help = "for check: how much of the data to read"},
                    {.name = "to",
                     .kind = cli::Option::Kind::text,
                     .value = "FOLDER",
                     .help = "for extract: the folder that is made"},
                    {.name = "json", .help = "for list: print a JSON list; for a VM: a JSON object"}},
        .output = {.text = "of a VM one line on its backup, of list a table, of show, extract and check what "
                           "is asked for, of "
                           "setup the recovery sheet",
                   .json_keys = {"id", "name", "uuid", "taken_at", "operation", "instance"},
                   .json_call = "list --json",
                   .unheard =
                       "the repository is set up, and its password is in /etc/blockhost/backup.password"},
        .examples = {{"setup --repository /srv/backup", "once on each host; keep what it prints elsewhere"},
                     {"list web-001", "the backups of one VM"},
                     {"show web-001@latest", "what its last backup holds"},
                     {"extract web-001@latest --to /srv/web-001", "its disk, as an image in a new folder"},
                     {"check --read-data-subset 5", "every night, a part of the data"}},
        .needs = cli::Needs::config,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
