// SPDX-License-Identifier: MIT
/// backup forget on a node of Proxmox VE: what no policy wants goes, each through the gate.

#include "agent/backups/guest_retention.hpp"
#include "backup/settings.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/platform_verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstdlib>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using agent::BackupFate;
using agent::ForgottenBackup;
using execution::State;

std::string taken(const BackupFate& fate) {
    return format_instant(Instant(std::chrono::seconds(fate.backup.stored.made)));
}

bj::object document_of(const BackupFate& fate) {
    return {{"id", fate.backup.stored.id},
            {"guest", fate.backup.stored.guest},
            {"name", fate.backup.name},
            {"taken_at", taken(fate)},
            {"fate", fate.goes ? "goes" : "stays"},
            {"why", fate.why},
            {"state", nullptr},
            {"operation", nullptr},
            {"error", nullptr}};
}

void print_fate(cli::Printer& printer, const BackupFate& fate) {
    printer.answer(fmt::format("{}  {}  {}: {}", text::printable(fate.backup.stored.id), taken(fate),
                               fate.goes ? "goes" : "stays", fate.why),
                   fate.goes ? cli::Tone::warning : cli::Tone::plain);
}

/// A clock that is far from the node's may call a young backup old.
void require_clock(cli::Call& call, platform::Platform& platform) {
    constexpr std::int64_t most_s = 60;
    if (call.arguments.has("force-clock")) return;
    const auto shown = platform.host().clock;
    const auto here = std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
    if (shown && std::abs(*shown - here) <= most_s) return;
    throw Error(Code::clock,
                shown
                    ? fmt::format("the node's clock and this host's are {} s apart", std::abs(*shown - here))
                    : std::string("the node does not tell its clock"),
                "synchronise both by NTP, or give --force-clock; nothing was forgotten");
}

std::string line_of(const ForgottenBackup& forgotten) {
    const std::string id = text::printable(forgotten.fate.backup.stored.id);
    const auto& operation = forgotten.operation;
    if (operation.state == State::done) return fmt::format("{} is forgotten: {}", id, forgotten.fate.why);
    if (operation.state == State::waiting)
        return fmt::format("{} stays until it is signed: approve it with 'blockhost-libvirt approve {}'", id,
                           operation.id);
    return fmt::format("{} is not forgotten: {}", id,
                       text::printable(operation.error ? operation.error->what() : operation.detail));
}

int forget_now(cli::Call& call, const std::vector<BackupFate>& fates) {
    agent::Engine engine = open_engine(call);
    require_clock(call, engine.platform());
    const agent::StepTalk talk = talk_of(call, "backup forget");
    const auto forgotten = agent::forget_backups(engine, fates, talk.requester, talk.check);
    bj::array list;
    for (const BackupFate& each : fates)
        if (!each.goes) list.push_back(document_of(each));
    int status = 0;
    for (const ForgottenBackup& each : forgotten) {
        if (each.operation.state != State::done && each.operation.state != State::waiting) status = 1;
        bj::object told = document_of(each.fate);
        told["state"] = to_string(each.operation.state);
        told["operation"] = each.operation.id;
        if (each.operation.error) told["error"] = each.operation.error->what();
        list.push_back(std::move(told));
        if (!call.arguments.has("json"))
            call.printer.answer(line_of(each),
                                each.operation.state == State::done ? cli::Tone::plain : cli::Tone::warning);
    }
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(list));
    else
        call.printer.answer(fmt::format(
            "{} of {} are forgotten",
            std::ranges::count(forgotten, State::done, [](const auto& each) { return each.operation.state; }),
            fates.size()));
    call.printer.flush_answer();
    return status;
}

} // namespace

int forget_backups_on_node(cli::Call& call) {
    const backup::Policies policies = backup::read_policies(call.paths);
    const NodeBackups looked = look_at_backups(call);
    const auto fates = agent::decide_fates(looked.all, policies, now());
    if (policies.append_only && !call.arguments.has("dry-run"))
        throw Error(Code::denied, "somebody else forgets the backups: backup.json says append_only",
                    "'blockhost-libvirt backup forget --dry-run' shows what no policy wants");
    if (!call.arguments.has("dry-run")) return forget_now(call, fates);
    bj::array list;
    for (const BackupFate& each : fates) {
        list.push_back(document_of(each));
        if (!call.arguments.has("json")) print_fate(call.printer, each);
    }
    const auto go = std::ranges::count_if(fates, &BackupFate::goes);
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(list));
    else
        call.printer.answer(fmt::format("{} would go, {} stay; nothing was changed", go,
                                        static_cast<std::ptrdiff_t>(fates.size()) - go));
    call.printer.flush_answer();
    return 0;
}

} // namespace blockhost::subcommands
