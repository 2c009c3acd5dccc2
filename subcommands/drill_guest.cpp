// SPDX-License-Identifier: MIT
/// drill on a node of Proxmox VE: a backup is tried as a scratch guest without a network.

#include "agent/backups/guest_drill.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/platform_verbs.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <map>

namespace blockhost::subcommands {

namespace {

using agent::KnownBackup;
using backup::LastDrill;

/// When the guest's last drill was; the first of times for none, or one that cannot be read.
Instant last_time(const cli::Call& call, const KnownBackup& backup) {
    try {
        const auto last = backup::read_last_drill(call.paths, VmName(backup.stored.guest));
        return last ? last->at : Instant{};
    } catch (const Error& error) {
        call.printer.warn(error.message());
        return Instant{};
    }
}

std::vector<KnownBackup> chosen(const cli::Call& call, const NodeBackups& looked) {
    const auto& operands = call.arguments.operands();
    const bool all = call.arguments.has("all"), one = call.arguments.has("one-in-turn");
    if (!operands.empty())
        return {agent::find_backup(*looked.platform, looked.guests, looked.all, operands.front())};
    std::map<std::string, KnownBackup> latest; // the oldest come first
    for (const KnownBackup& each : looked.all)
        if (!each.stored.guest.empty()) latest.insert_or_assign(each.stored.guest, each);
    if (latest.empty())
        throw Error(Code::not_found, "there is no backup to try",
                    "'blockhost-libvirt backup GUEST' makes one");
    std::vector<KnownBackup> wanted;
    wanted.reserve(latest.size());
    for (auto& [guest, backup] : latest) wanted.push_back(std::move(backup));
    if (all || !one) return wanted;
    return {*std::ranges::min_element(wanted, {},
                                      [&](const KnownBackup& each) { return last_time(call, each); })};
}

std::string json_of(const KnownBackup& from, const LastDrill& told) {
    return json::python_line(boost::json::object{{"name", from.name},
                                                 {"guest", from.stored.guest},
                                                 {"backup", told.snapshot},
                                                 {"taken_at", format_instant(told.taken_at)},
                                                 {"at", format_instant(told.at)},
                                                 {"passed", told.passed},
                                                 {"reason", told.reason},
                                                 {"restore_s", told.restore_s},
                                                 {"boot_s", told.boot_s},
                                                 {"check_s", told.check_s}});
}

std::string text_of(const KnownBackup& from, const LastDrill& told) {
    const std::string which =
        fmt::format("{} of guest {}", text::printable(from.stored.id), from.stored.guest);
    if (!told.passed) return fmt::format("{} FAILED: {}", which, told.reason);
    return fmt::format("{} came up: {} s to restore, {} s until it was up", which, told.restore_s,
                       told.boot_s);
}

/// What a drill that nobody saw to its end may have left: whose it is cannot be proved.
void warn_of_leftovers(const cli::Call& call, const platform::Guests& guests,
                       const std::vector<platform::GuestId>& removed) {
    for (const platform::Guest& each : guests.seen)
        if (each.config && each.config->tags.contains(std::string(agent::drill_tag)) &&
            std::ranges::find(removed, each.id) == removed.end())
            call.printer.warn(
                fmt::format("guest {} has the tag {}, and may be what a drill left: remove it on "
                            "the node if it is",
                            each.id, agent::drill_tag));
}

} // namespace

int drill_on_node(cli::Call& call) {
    refuse_options(call, {"digests", "command"});
    const bool all = call.arguments.has("all"), one = call.arguments.has("one-in-turn");
    if (call.arguments.operands().size() + (all ? 1 : 0) + (one ? 1 : 0) != 1)
        throw Error(Code::usage, "drill takes a backup, --all or --one-in-turn",
                    "'blockhost-libvirt backup list' shows the backups");
    const NodeBackups looked = look_at_backups(call);
    const auto wanted = chosen(call, looked);
    agent::Engine engine = open_engine(call);
    const agent::StepTalk talk = talk_of(call, "drill");
    warn_of_leftovers(call, looked.guests, agent::clear_drills(engine, talk));
    constexpr std::chrono::seconds must_run(30);
    const std::chrono::seconds patience(call.arguments.integer("boot-timeout").value_or(600));
    bool all_passed = true;
    for (const KnownBackup& each : wanted) {
        call.printer.about_vm(each.stored.guest);
        const LastDrill told = agent::drill_guest(
            engine,
            {.backup = each.stored, .boot_timeout = patience, .must_run = std::min(patience, must_run)},
            talk);
        backup::write_last_drill(call.paths, VmName(each.stored.guest), told);
        all_passed = all_passed && told.passed;
        call.printer.answer(call.arguments.has("json") ? json_of(each, told) : text_of(each, told));
        call.printer.flush_answer();
    }
    return all_passed ? 0 : row_of(Code::guest).exit_status;
}

} // namespace blockhost::subcommands
