// SPDX-License-Identifier: MIT
/// restore: makes a VM anew from a backup. restore_files.cpp has what it does with --file.

#include "operations/restore/restore.hpp"
#include "base/text/json.hpp"
#include "operations/restore/in_place.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/restore_files.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using operations::CreateResult;
using operations::Origin;

/// The repository that --from names, or the host's own.
backup::Restic open_wanted(const cli::Call& call) {
    const auto address = call.arguments.text("from");
    const auto password = given_password(call);
    if (address.has_value() != password.has_value())
        throw Error(Code::usage, "--from and --password-file belong together",
                    "both stand on the recovery sheet; without them this host's own repository is read");
    if (!address) return open_own_repository(call);
    backup::Restic restic = backup::open_repository_at(
        call.paths, {*address, {}, call.arguments.text("user").value_or(std::string(backup::usual_user))},
        *password, check_signals);
    restic.version();
    return restic;
}

/// Likewise, or the simulated world's.
std::unique_ptr<backup::Repository> open_any(const cli::Call& call) {
    if (call.mock && !call.arguments.has("from")) return open_repository_of(call).repository;
    require_real_backups(call);
    return std::make_unique<backup::Restic>(open_wanted(call));
}

std::chrono::seconds ready_timeout(const cli::Arguments& given) {
    return std::chrono::seconds(given.integer("ready-timeout").value_or(180));
}

operations::RestoreRequest request_of(const cli::Arguments& given) {
    const auto as = given.text("as");
    return {.as = as ? std::optional(VmName(*as)) : std::nullopt,
            .expiry_days = given.integer("expiry-days"),
            .then = given.has("off") ? Origin::Then::stay_off : Origin::Then::run,
            .ready_timeout = ready_timeout(given),
            .clock = given.has("force-clock") ? ClockTrust::forced : ClockTrust::judged};
}

std::string_view guest_word(bool runs, bool answers) {
    if (!runs) return "off";
    return answers ? "ready" : "silent";
}

std::string_view now_words(bool runs, bool answers) {
    if (!runs) return "it is off";
    return answers ? "it runs, and its guest is ready" : "it runs, and its guest is not ready";
}

std::string json_of(const CreateResult& made, const backup::Backup& from) {
    const Addresses& addresses = made.addresses;
    return json::python_line(boost::json::object{{"name", made.name.str()},
                                                 {"backup", from.id},
                                                 {"taken_at", format_instant(from.taken_at)},
                                                 {"uuid", made.uuid ? made.uuid->str() : ""},
                                                 {"ip", addresses.ip.str()},
                                                 {"ipv6", addresses.ipv6 ? addresses.ipv6->str() : ""},
                                                 {"addresses_as_before", made.as_before},
                                                 {"on_template", made.on_template},
                                                 {"guest", guest_word(made.runs, made.guest_answers)}});
}

std::string text_of(const CreateResult& made, const backup::Backup& from) {
    return fmt::format("{} is restored as of {}, with the address {}; {}", made.name.str(),
                       format_instant(std::chrono::floor<std::chrono::seconds>(from.taken_at)),
                       made.addresses.ip.str(), now_words(made.runs, made.guest_answers));
}

void restore_one(cli::Call& call, World& world, const backup::Repository& repository,
                 const backup::Backup& from, const operations::RestoreRequest& request) {
    call.printer.about_vm(request.as.value_or(from.vm).str());
    operations::restore(world, repository, from, request, [&](const CreateResult& made) {
        call.printer.answer(call.arguments.has("json") ? json_of(made, from) : text_of(made, from));
        call.printer.flush_answer();
    });
}

/// One after the other, as far as this host has room. Returns the exit status of the first that could not be
/// restored.
int restore_all(cli::Call& call, World& world, const backup::Repository& repository,
                const std::vector<backup::Backup>& latest, const operations::RestoreRequest& request) {
    int status = 0;
    for (const backup::Backup& from : latest) {
        try {
            restore_one(call, world, repository, from, request);
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) throw;
            call.printer.warn(fmt::format("{} is not restored: {}", from.vm.str(), error.message()));
            if (status == 0) status = row_of(error.code()).exit_status;
        }
    }
    return status;
}

// in place

std::string json_of(const operations::InPlaceResult& done, const backup::Backup& from) {
    return json::python_line(boost::json::object{{"name", done.name.str()},
                                                 {"backup", from.id},
                                                 {"taken_at", format_instant(from.taken_at)},
                                                 {"on_template", done.on_template},
                                                 {"guest", guest_word(done.runs, done.guest_answers)},
                                                 {"undoable_until", format_instant(done.until)}});
}

std::string text_of(const operations::InPlaceResult& done, const backup::Backup& from) {
    return fmt::format("{0} has its disk as of {1}, and {2}; until {3} 'blockhost-libvirt snapshot undo {0}' "
                       "brings back the disk of before",
                       done.name.str(),
                       format_instant(std::chrono::floor<std::chrono::seconds>(from.taken_at)),
                       now_words(done.runs, done.guest_answers), format_instant(done.until));
}

/// Throws Error{usage} for what makes a VM anew.
void require_in_place_alone(const cli::Arguments& given) {
    for (const char* other : {"as", "all", "expiry-days", "force-clock"})
        if (given.has(other))
            throw Error(Code::usage, fmt::format("--in-place and --{} do not go together", other),
                        "--in-place changes the disk of the VM that is there, and nothing else of it");
}

int restore_disk_in_place(cli::Call& call, World& world, const backup::Repository& repository,
                          const backup::Backup& from) {
    const cli::Arguments& given = call.arguments;
    call.printer.about_vm(from.vm.str());
    const auto done = operations::restore_in_place(
        world, repository, from,
        {.undoable = undo_span(call), .stay_off = given.has("off"), .ready_timeout = ready_timeout(given)});
    call.printer.answer(given.has("json") ? json_of(done, from) : text_of(done, from));
    call.printer.flush_answer();
    return 0;
}

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (is_on_node(call)) return restore_on_node(call);
    for (const std::string_view option : {"swap", "destroy-old"})
        if (call.arguments.has(option))
            throw Error(Code::usage,
                        fmt::format("--{} is for a host whose guests live on a Proxmox VE node", option),
                        "here the VM is made anew under its own name, once it is gone");
    const bool all = call.arguments.has("all");
    if (call.arguments.has("file") || call.arguments.has("to")) {
        const image::FilesRequest files = require_files_request(call.arguments);
        require_real_backups(call);
        return restore_files(call, open_wanted(call), files);
    }
    const operations::RestoreRequest request = request_of(call.arguments);
    if (operands.empty() != all || (all && request.as))
        throw Error(Code::usage, "restore takes a backup, or --all without --as",
                    "'blockhost-libvirt backup list' shows the backups");
    const bool in_place = call.arguments.has("in-place");
    if (in_place) require_in_place_alone(call.arguments);
    if (!in_place && call.arguments.has("for"))
        throw Error(Code::usage, "--for goes with --in-place only", "leave it out");
    if (!call.mock) require_real_backups(call);
    if (in_place)
        require_no_signature(call, "a restore in place",
                             "'--as NEW' restores a copy beside it, and loses nothing; an admin may change "
                             "require_signatures in agent.json for a restore in place");
    const auto opened = open_any(call);
    const backup::Repository& repository = *opened;
    const backup::Catalogue catalogue(repository.snapshots());
    if (all && catalogue.all().empty())
        throw Error(Code::not_found, "the repository has no backups", "see that it is the right one");
    const auto from = all ? catalogue.latest_of_each() : std::vector{catalogue.find(operands.front())};
    World world = open_world(call, Intent::change);
    if (all) return restore_all(call, world, repository, from, request);
    if (in_place) return restore_disk_in_place(call, world, repository, from.front());
    restore_one(call, world, repository, from.front(), request);
    return 0;
}

constexpr std::string_view details =
    "The VM, which has to be gone, is made anew under its own name: its disk, as it was; its uuid, hardware "
    "address, owner, "
    "CPUs, memory and expiry; its addresses, where nobody else has them by now. Where they are taken it gets "
    "new "
    "ones, and a new "
    "instance id, by which cloud-init sets up the network, and what else it does once an instance. The "
    "definition is "
    "rendered "
    "anew from the backup's record; nothing of the definition in the backup is used.\n\n"
    "The disk is an overlay of the version of the template that it stood on, if that is among the templates, "
    "and then takes "
    "only the room of what differs; otherwise it stands by itself.\n\n"
    "--as NEW makes a copy: with a uuid, hardware address and addresses of its own, and with no link to the "
    "network before its agent has given it a machine-id and SSH host keys of its own. One whose agent does "
    "not "
    "answer is undone.\n\n"
    "--in-place brings back the disk of the VM that is there, and nothing else of it. The VM runs until the "
    "disk is whole; "
    "then it is forced off, gets it, and is started again. The disk of before is kept aside for a while "
    "(--for): "
    "'snapshot undo' brings it back, 'snapshot keep' deletes it, and so does gc when that time is over.\n\n"
    "--from reads the repository of another host, by its address and password alone, and sets nothing up "
    "here. --all restores all of its VMs, by name; one that cannot be (it is there already, there is no room "
    "for it, it has expired) is told of, and the next one's turn comes.\n\n"
    "Room is looked for before anything is made: on the disk for all that the backup holds, and memory as "
    "for a "
    "create. "
    "Whatever fails, is signalled or killed on the way is undone, at the latest by the next create or "
    "restore of that "
    "name. A "
    "guest that does not get ready in time is warned of, and stays.\n\n"
    "--file PATH restores a file, a folder with all that is in it, or a symbolic link alone, below the "
    "folder "
    "--to; it may be given several times. The VM is not touched, and need not be there; libvirt is not "
    "needed. The guest's file systems are mounted by libguestfs in a virtual machine of its own, and never "
    "by "
    "this host. What is restored belongs to the owner of that folder, without setuid, setgid and sticky; "
    "devices, pipes and sockets are left out. It takes half a minute and more.\n\n"
    "On a host whose platform is a node of Proxmox VE, a backup is always restored to a new guest, under a "
    "number that nothing has: --as gives it that number, or that name. It is off, has hardware addresses of "
    "its "
    "own, and does not start by itself. With --swap it takes the place of the guest whose backup it is: it "
    "gets "
    "that one's network devices, that one is switched off and no longer starts by itself, and the new one "
    "runs "
    "if that one did. The old guest is kept, with the tag blockhost-replaced; with --destroy-old it is "
    "destroyed "
    "in the end, as this host's rules on signatures have it. What fails on the way is put back.";

} // namespace

cli::Row restore_row() {
    using Kind = cli::Option::Kind;
    return {
        .verb = "restore",
        .summary = "make a VM anew from a backup",
        .details = details,
        .operands = {{.name = "BACKUP",
                      .help = "a backup: the first digits of its id, or NAME@latest",
                      .count = cli::Operand::Count::optional}},
        .options = {{.name = "as",
                     .kind = Kind::text,
                     .value = "NEW",
                     .help = "restore a copy of that name, beside the VM or in its place"},
                    {.name = "in-place", .help = "bring back the disk of the VM that is there"},
                    undo_span_option("with --in-place: how long it can be undone: 30m, 12h or 7d"),
                    {.name = "all", .help = "the last backup of each VM, one after the other"},
                    {.name = "expiry-days",
                     .kind = Kind::integer,
                     .value = "N",
                     .min = limits::expiry_days_min,
                     .max = limits::expiry_days_max,
                     .help = "days until the VM expires, from now on; without it, as before"},
                    {.name = "from",
                     .kind = Kind::text,
                     .value = "ADDRESS",
                     .help = "the repository of a host that is gone, as its recovery sheet has it"},
                    {.name = "password-file",
                     .kind = Kind::file,
                     .value = "FILE",
                     .help = "that repository's password"},
                    {.name = "user",
                     .kind = Kind::text,
                     .value = "USER",
                     .default_text = backup::usual_user,
                     .help = "with --from: the user that restic runs as"},
                    {.name = "file",
                     .kind = Kind::text,
                     .value = "PATH",
                     .help = "restore what has that absolute path in the guest, and no VM; may be given "
                             "several times"},
                    {.name = "to",
                     .kind = Kind::text,
                     .value = "FOLDER",
                     .help = "with --file: the folder that is made, or is empty, for what is restored"},
                    {.name = "swap",
                     .help = "on a Proxmox VE node: take the place of the guest whose backup it is"},
                    {.name = "destroy-old", .help = "with --swap: destroy the guest that was replaced"},
                    {.name = "off", .help = "do not start it; boot leaves it off, too"},
                    {.name = "ready-timeout",
                     .kind = Kind::integer,
                     .value = "SECONDS",
                     .default_text = "180",
                     .min = 1,
                     .max = 3600,
                     .help = "how long its guest is waited for"},
                    {.name = "force-clock",
                     .help = "go on with a clock that lies behind what was written here"},
                    {.name = "json", .help = "print a JSON object for each VM; with --file, one"}},
        .output = {.text = "one line for each VM; with --file, one on how much was restored",
                   .json_keys = {"name", "backup", "taken_at", "uuid", "ip", "ipv6", "addresses_as_before",
                                 "on_template", "guest", "undoable_until"},
                   .unheard = "everything is undone, and the same backup can be restored again"},
        .examples = {{"web-001@latest", "from its last backup"},
                     {"web-001@latest --from sftp:backup@far:/srv/host-a --password-file /dev/stdin",
                      "on another host, after a loss"},
                     {"--all --from sftp:backup@far:/srv/host-a --password-file /dev/stdin",
                      "all that it had"},
                     {"web-001@latest --as web-001-copy", "beside it, to look at how it was"},
                     {"web-001@latest --in-place", "its disk as it was, after something went wrong"},
                     {"web-001@latest --file /etc/nginx --file /srv/www/index.html --to /root/restored",
                      "a folder and a file alone"},
                     {"1f3a9c22 --expiry-days 30 --off", "a VM that had expired, to be looked at"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
