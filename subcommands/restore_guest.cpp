// SPDX-License-Identifier: MIT
/// restore on a node of Proxmox VE: always to a new guest, which may take the place of another one.

#include "agent/backups/guest_restore.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/backup_guests.hpp"
#include "subcommands/platform_verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using agent::RestoredGuest;
using agent::SwappedGuest;
using execution::State;

void warn_of(cli::Call& call, const RestoredGuest& made) {
    for (const std::string& warning : made.warnings) call.printer.warn(text::printable(warning));
}

bj::object document_of(const RestoredGuest& made, const platform::StoredBackup& from) {
    return {{"guest", made.guest.id},
            {"name", made.guest.name},
            {"backup", from.id},
            {"taken_at", format_instant(Instant(std::chrono::seconds(from.made)))},
            {"operation", made.operation},
            {"power", to_string(made.guest.power)},
            {"replaced", nullptr},
            {"destroy", nullptr},
            {"warnings", bj::array(made.warnings.begin(), made.warnings.end())}};
}

std::string named(const platform::Guest& guest) {
    return guest.id + (guest.name.empty() ? "" : " (" + text::printable(guest.name) + ")");
}

int restore(cli::Call& call, agent::Engine& engine, const platform::StoredBackup& from) {
    const std::string as = call.arguments.text("as").value_or("");
    agent::RestoreWish wish{.backup = from, .id = "", .name = ""};
    (as.find_first_not_of("0123456789") == as.npos ? wish.id : wish.name) = as;
    if (!wish.id.empty())
        if (const auto misfit = engine.platform().misfit(wish.id, from.kind)) throw Error(*misfit);
    const RestoredGuest made = agent::restore_guest(engine, wish, talk_of(call, "restore"));
    warn_of(call, made);
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(document_of(made, from)));
    else
        call.printer.answer(fmt::format("{} is restored as guest {}; it is off, and does not start by itself",
                                        text::printable(from.id), named(made.guest)));
    call.printer.flush_answer();
    return 0;
}

std::string words_on_old(const SwappedGuest& done) {
    if (!done.destroyed)
        return fmt::format("guest {} is off, and is kept with the tag {}", done.old, agent::replaced_tag);
    if (done.destroyed->state == State::waiting)
        return fmt::format("guest {} is off, and is destroyed once 'blockhost-libvirt approve {}' has a "
                           "signature",
                           done.old, done.destroyed->id);
    return fmt::format("guest {} is destroyed", done.old);
}

int swap(cli::Call& call, agent::Engine& engine, const platform::StoredBackup& from) {
    const agent::SwapWish wish{.backup = from,
                               .then = call.arguments.has("off") ? agent::SwapWish::Then::stay_off
                                                                 : agent::SwapWish::Then::as_before,
                               .destroy_old = call.arguments.has("destroy-old")};
    const SwappedGuest done = agent::swap_guest(engine, wish, talk_of(call, "restore"));
    warn_of(call, done.made);
    if (call.arguments.has("json")) {
        bj::object told = document_of(done.made, from);
        told["replaced"] = done.old;
        if (done.destroyed) told["destroy"] = to_string(done.destroyed->state);
        call.printer.answer(json::python_line(told));
    } else {
        call.printer.answer(fmt::format("{} is restored as guest {}, in the place of guest {}; it {}",
                                        text::printable(from.id), named(done.made.guest), done.old,
                                        done.runs ? "runs" : "is off"));
        call.printer.answer(words_on_old(done));
    }
    call.printer.flush_answer();
    return 0;
}

} // namespace

int restore_on_node(cli::Call& call) {
    refuse_options(call, {"all", "in-place", "for", "expiry-days", "from", "password-file", "user",
                          "ready-timeout", "force-clock", "file", "to"});
    const auto& operands = call.arguments.operands();
    const bool swaps = call.arguments.has("swap");
    if (operands.empty())
        throw Error(Code::usage, "restore takes a backup",
                    "'blockhost-libvirt backup list' shows the backups");
    if (call.arguments.has("destroy-old") && !swaps)
        throw Error(Code::usage, "--destroy-old goes with --swap", "without --swap nothing is replaced");
    if (swaps && call.arguments.has("as"))
        throw Error(Code::usage, "--as and --swap exclude each other",
                    "what takes another guest's place has its backup's name");
    const NodeBackups looked = look_at_backups(call);
    const auto from =
        agent::find_backup(*looked.platform, looked.guests, looked.all, operands.front()).stored;
    call.printer.about_vm(from.guest);
    agent::Engine engine = open_engine(call);
    return swaps ? swap(call, engine, from) : restore(call, engine, from);
}

} // namespace blockhost::subcommands
