// SPDX-License-Identifier: MIT
/// backup list and show on a node of Proxmox VE: which backups its storages have.

#include "agent/database.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/columns.hpp"
#include "subcommands/platform_verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using agent::KnownBackup;

std::int64_t age_s(const KnownBackup& backup, Instant when) {
    return std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count() -
           backup.stored.made;
}

std::string taken_at(const KnownBackup& backup) {
    return backup.stored.made == 0 ? "" : format_instant(Instant(std::chrono::seconds(backup.stored.made)));
}

bj::value or_null(std::string_view text) {
    return text.empty() ? bj::value(nullptr) : bj::value(text);
}

/// What the place found when it looked.
std::string_view verdict_of(const KnownBackup& backup) {
    if (!backup.stored.verified) return "";
    return *backup.stored.verified ? "ok" : "failed";
}

bj::object document_of(const KnownBackup& backup, Instant when) {
    const platform::StoredBackup& stored = backup.stored;
    return {{"id", stored.id},
            {"guest", or_null(stored.guest)},
            {"name", or_null(backup.name)},
            {"kind", to_string(stored.kind)},
            {"taken_at", or_null(taken_at(backup))},
            {"age_s", stored.made == 0 ? bj::value(nullptr) : bj::value(age_s(backup, when))},
            {"size_bytes", stored.size},
            {"place", stored.place},
            {"format", or_null(stored.format)},
            {"mode", or_null(backup.course.mode)},
            {"consistency", or_null(to_string(backup.course.consistency))},
            {"verdict", or_null(verdict_of(backup))},
            {"notes", or_null(stored.notes)},
            {"protected", stored.is_protected},
            {"encrypted", stored.is_encrypted},
            {"operation", or_null(backup.operation)}};
}

std::string or_dash(std::string_view text) {
    return text.empty() ? "-" : text::printable(text);
}

std::string guest_words(const KnownBackup& backup) {
    if (backup.stored.guest.empty()) return "-";
    return backup.stored.guest + (backup.name.empty() ? "" : " " + text::printable(backup.name));
}

std::string how_words(const KnownBackup& backup) {
    const std::string mode = or_dash(backup.course.mode);
    const std::string_view held = to_string(backup.course.consistency);
    return held.empty() ? mode : mode + ", " + std::string(held);
}

void print_table(cli::Printer& printer, const std::vector<KnownBackup>& all) {
    const Instant when = now();
    std::vector<std::vector<std::string>> rows{
        {"BACKUP", "GUEST", "TAKEN", "AGE", "SIZE", "HOW", "VERDICT", "PROTECTED", "NOTES"}};
    for (const KnownBackup& each : all)
        rows.push_back({text::printable(each.stored.id), guest_words(each), or_dash(taken_at(each)),
                        each.stored.made == 0 ? "-" : age_words(age_s(each, when)),
                        text::human_bytes(static_cast<std::uint64_t>(each.stored.size)), how_words(each),
                        or_dash(verdict_of(each)), each.stored.is_protected ? "yes" : "-",
                        or_dash(each.stored.notes)});
    print_columns(printer, rows);
}

} // namespace

NodeBackups look_at_backups(cli::Call& call) {
    require_agents_user(call);
    NodeBackups looked{open_platform(call), {}, {}, {}};
    looked.guests = looked.platform->guests();
    platform::StoredBackups all = agent::require_keeper(*looked.platform).backups();
    auto database = agent::existing_database(call.paths);
    std::optional<execution::Journal> journal;
    if (database) journal.emplace(std::move(*database));
    looked.all = agent::known_backups(all, looked.guests, journal ? &*journal : nullptr);
    looked.doubts = std::move(all.doubts);
    for (const std::string& doubt : looked.doubts) call.printer.warn("more backups may exist: " + doubt);
    return looked;
}

int list_backups_on_node(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    NodeBackups looked = look_at_backups(call);
    if (operands.size() > 1) {
        const auto guest = agent::find_guest_id(*looked.platform, looked.guests, operands[1]);
        std::erase_if(looked.all, [&](const KnownBackup& each) { return each.stored.guest != guest; });
    }
    if (call.arguments.has("json")) {
        bj::array list;
        const Instant when = now();
        for (const KnownBackup& each : looked.all) list.push_back(document_of(each, when));
        call.printer.answer(json::python_line(list));
    } else {
        print_table(call.printer, looked.all);
    }
    call.printer.flush_answer();
    return 0;
}

int show_backup_on_node(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (operands.size() < 2)
        throw Error(Code::usage, "backup show needs a backup",
                    "'blockhost-libvirt backup list' shows their ids");
    const NodeBackups looked = look_at_backups(call);
    const KnownBackup& backup = agent::find_backup(*looked.platform, looked.guests, looked.all, operands[1]);
    const platform::GuestConfig config = agent::require_keeper(*looked.platform).config_in(backup.stored);
    const auto line = [&](std::string_view key, const std::string& value) {
        call.printer.answer(fmt::format("{:<12} {}", key, value.empty() ? "-" : text::printable(value)));
    };
    line("backup", backup.stored.id);
    line("guest", guest_words(backup));
    line("kind", std::string(to_string(backup.stored.kind)));
    line("taken", taken_at(backup));
    line("size", text::human_bytes(static_cast<std::uint64_t>(backup.stored.size)));
    line("place", backup.stored.place);
    line("format", backup.stored.format + (backup.stored.is_encrypted ? ", encrypted" : ""));
    line("how", how_words(backup));
    line("verdict", std::string(verdict_of(backup)));
    line("protected", backup.stored.is_protected ? "yes" : "no");
    line("notes", backup.stored.notes);
    line("operation", backup.operation);
    line("name in it", config.name);
    if (config.cpus) line("cpus", std::to_string(*config.cpus));
    if (config.memory_mib) line("memory", std::to_string(*config.memory_mib) + " MiB");
    if (config.disk_mib) line("disk", std::to_string(*config.disk_mib) + " MiB");
    call.printer.flush_answer();
    return 0;
}

} // namespace blockhost::subcommands
