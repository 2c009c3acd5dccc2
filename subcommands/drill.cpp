// SPDX-License-Identifier: MIT
/// drill: proves that backups come up.

#include "operations/restore/drill.hpp"
#include "base/files/given_file.hpp"
#include "base/text/json.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using backup::Backup;
using backup::LastDrill;

operations::DrillRequest request_of(const cli::Arguments& given) {
    constexpr std::size_t most = 1u << 20;
    operations::DrillRequest request{.command = given.text("command"),
                                     .boot_timeout =
                                         std::chrono::seconds(given.integer("boot-timeout").value_or(600))};
    if (const auto file = given.text("digests"))
        request.files = operations::parse_expected_files(files::read_given(*file, most).value_or(""), *file);
    return request;
}

/// When the VM's last drill was; the first of times for none, or one that cannot be read.
Instant last_time(const cli::Call& call, const VmName& vm) {
    try {
        const auto last = backup::read_last_drill(call.paths, vm);
        return last ? last->at : Instant{};
    } catch (const Error& error) {
        call.printer.warn(error.message());
        return Instant{};
    }
}

std::vector<Backup> chosen(const cli::Call& call, const backup::Catalogue& catalogue) {
    const auto& operands = call.arguments.operands();
    const bool all = call.arguments.has("all"), one = call.arguments.has("one-in-turn");
    if (operands.size() + (all ? 1 : 0) + (one ? 1 : 0) != 1)
        throw Error(Code::usage, "drill takes a backup, --all or --one-in-turn",
                    "'blockhost-libvirt backup list' shows the backups");
    if (!operands.empty()) return {catalogue.find(operands.front())};
    std::vector<Backup> latest = catalogue.latest_of_each();
    if (latest.empty() && one) { // a timer's: its turn comes
        call.printer.say("there is no backup to try yet");
        return {};
    }
    if (latest.empty())
        throw Error(Code::not_found, "there is no backup to try",
                    "'blockhost-libvirt backup NAME' makes one");
    if (all) return latest;
    return {
        *std::ranges::min_element(latest, {}, [&](const Backup& each) { return last_time(call, each.vm); })};
}

std::string json_of(const Backup& from, const LastDrill& told) {
    return json::python_line(boost::json::object{{"name", from.vm.str()},
                                                 {"backup", told.snapshot},
                                                 {"taken_at", format_instant(told.taken_at)},
                                                 {"at", format_instant(told.at)},
                                                 {"passed", told.passed},
                                                 {"reason", told.reason},
                                                 {"restore_s", told.restore_s},
                                                 {"boot_s", told.boot_s},
                                                 {"check_s", told.check_s}});
}

std::string text_of(const Backup& from, const LastDrill& told) {
    const std::string which =
        fmt::format("{} as of {}", from.vm.str(),
                    format_instant(std::chrono::floor<std::chrono::seconds>(told.taken_at)));
    if (!told.passed) return fmt::format("{} FAILED: {}", which, told.reason);
    return fmt::format("{} came up: {} s to restore, {} s until its agent answered, {} s of checks", which,
                       told.restore_s, told.boot_s, told.check_s);
}

int run(cli::Call& call) {
    if (is_on_node(call)) return drill_on_node(call);
    require_real_backups(call);
    const operations::DrillRequest request = request_of(call.arguments);
    const backup::Restic restic = open_own_repository(call);
    const backup::Catalogue catalogue(restic.snapshots());
    World world = open_world(call, Intent::change);
    const Interruption interruption;
    bool all_passed = true;
    for (const Backup& each : chosen(call, catalogue)) {
        call.printer.about_vm(each.vm.str());
        const LastDrill told = operations::drill(world, restic, each, request, interruption);
        all_passed = all_passed && told.passed;
        call.printer.answer(call.arguments.has("json") ? json_of(each, told) : text_of(each, told));
        call.printer.flush_answer();
    }
    return all_passed ? 0 : row_of(Code::guest).exit_status;
}

constexpr std::string_view details =
    "The backup is restored beside its VM into a domain that has no network, and booted until its guest "
    "agent "
    "answers. Then "
    "no file system may be read-only, the root has to take a file, and the guest's kernel must not have "
    "found "
    "them damaged. "
    "--digests and --command ask for more. The domain and its disk are thrown away; the VM itself is not "
    "touched.\n\n"
    "--all tries the last backup of each VM, --one-in-turn that of the VM whose last drill is the longest "
    "ago, "
    "for a timer. "
    "The verdict is remembered in /var/lib/blockhost/backup/drills. A drill that fails ends with the status "
    "of a "
    "guest that "
    "does not answer.\n\n"
    "On a host whose platform is a node of Proxmox VE, the backup is restored to a scratch guest of the "
    "node, "
    "under a new number and without a link to any network, started, waited for, and destroyed. It has come "
    "up "
    "when its agent answers; one that has no agent, when it still runs after half a minute.";

} // namespace

cli::Row drill_row() {
    using Kind = cli::Option::Kind;
    return {
        .verb = "drill",
        .summary = "prove that a backup comes up, and throw it away again",
        .details = details,
        .operands = {{.name = "BACKUP",
                      .help = "a backup: the first digits of its id, or NAME@latest",
                      .count = cli::Operand::Count::optional}},
        .options = {{.name = "all", .help = "the last backup of each VM"},
                    {.name = "one-in-turn",
                     .help = "the last backup of the VM whose last drill is the longest ago"},
                    {.name = "digests",
                     .kind = Kind::file,
                     .value = "FILE",
                     .help = "files that the guest must have, as sha256sum prints them"},
                    {.name = "command",
                     .kind = Kind::text,
                     .value = "COMMAND",
                     .help = "a command of the guest's shell that has to succeed"},
                    {.name = "boot-timeout",
                     .kind = Kind::integer,
                     .value = "SECONDS",
                     .default_text = "600",
                     .min = 1,
                     .max = 3600,
                     .help = "how long its agent is waited for"},
                    {.name = "json", .help = "print a JSON object for each"}},
        .output = {.text = "one line for each backup",
                   .json_keys = {"name", "backup", "taken_at", "at", "passed", "reason", "restore_s",
                                 "boot_s", "check_s"},
                   .unheard = "the verdict is in /var/lib/blockhost/backup/drills"},
        .examples = {{"web-001@latest", "its last backup"},
                     {"--one-in-turn --json", "each week, by a timer"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
