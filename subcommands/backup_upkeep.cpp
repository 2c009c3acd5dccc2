// SPDX-License-Identifier: MIT
/// backup forget, prune and maintain: which backups stay, and the care for the repository.

#include "backup/housekeeping.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bk = blockhost::backup;

/// What the parts share.
struct Upkeep {
    cli::Call& call;
    const bk::Settings settings;
    const bk::Restic restic;
    bk::Ledger ledger;

    explicit Upkeep(cli::Call& the_call)
        : call(the_call), settings(bk::require_settings(call.paths)), restic(open_own_repository(call)),
          ledger(bk::Ledger::open(call.paths, settings.repository_id)) {}

    /// Runs `act`, and notes how it ended, unless a signal ended it.
    void note(bk::Chore chore, const std::function<void()>& act) {
        try {
            act();
        } catch (const Error& error) {
            if (error.code() != Code::interrupted) ledger.note(chore, {now(), error.message()});
            throw;
        }
        ledger.note(chore, {now(), ""});
    }
};

/// The fates, with the clock judged first where something may go.
std::vector<bk::Fate> fates(Upkeep& upkeep, bk::Noting noting) {
    World world = open_world(upkeep.call, Intent::look);
    if (noting == bk::Noting::notes && !upkeep.call.arguments.has("force-clock")) bk::require_clock(world);
    upkeep.call.printer.stage("looking at the backups");
    return bk::judge(world, upkeep.settings, upkeep.restic, upkeep.ledger, now(), noting);
}

std::vector<std::string> ids_that_go(const std::vector<bk::Fate>& all) {
    std::vector<std::string> ids;
    for (const bk::Fate& each : all)
        if (each.goes) ids.push_back(each.backup.id);
    return ids;
}

std::string_view word_of(const bk::Fate& fate) {
    return fate.goes ? "goes" : "stays";
}

void print_json(cli::Printer& printer, const std::vector<bk::Fate>& all) {
    boost::json::array list;
    for (const bk::Fate& each : all)
        list.push_back(boost::json::object{{"id", each.backup.id},
                                           {"name", each.backup.vm.str()},
                                           {"uuid", each.backup.uuid.str()},
                                           {"taken_at", format_instant(each.backup.taken_at)},
                                           {"fate", word_of(each)},
                                           {"why", each.why}});
    printer.answer(json::python_line(list));
}

void print_lines(cli::Printer& printer, const std::vector<bk::Fate>& all, bool is_look) {
    for (const bk::Fate& each : all) {
        if (!is_look && !each.goes) continue;
        printer.answer(
            fmt::format("{}  {}  {}  {}: {}", each.backup.short_id(),
                        format_instant(std::chrono::floor<std::chrono::seconds>(each.backup.taken_at)),
                        each.backup.vm.str(), word_of(each), each.why),
            each.goes ? cli::Tone::warning : cli::Tone::plain);
    }
    const auto go = std::ranges::count_if(all, &bk::Fate::goes);
    const auto stay = static_cast<std::ptrdiff_t>(all.size()) - go;
    printer.answer(is_look ? fmt::format("{} would go, {} stay; nothing was changed", go, stay)
                           : fmt::format("{} are forgotten, {} stay", go, stay));
}

std::size_t forget_now(Upkeep& upkeep, std::vector<bk::Fate>& all) {
    bk::require_keeper(upkeep.settings);
    upkeep.note(bk::Chore::forget, [&] {
        all = fates(upkeep, bk::Noting::notes);
        upkeep.call.printer.stage("forgetting backups");
        upkeep.restic.forget(ids_that_go(all));
    });
    return ids_that_go(all).size();
}

void prune_now(Upkeep& upkeep) {
    bk::require_keeper(upkeep.settings);
    upkeep.call.printer.stage("pruning the repository");
    upkeep.note(bk::Chore::prune, [&] { upkeep.restic.prune(); });
}

/// What was done, in words.
std::string do_chore(Upkeep& upkeep, bk::Chore chore) {
    switch (chore) {
    case bk::Chore::forget: {
        std::vector<bk::Fate> all;
        const std::size_t gone = forget_now(upkeep, all);
        return fmt::format("{} are forgotten, {} stay", gone, all.size() - gone);
    }
    case bk::Chore::prune:
        prune_now(upkeep);
        return "what no backup needs is gone";
    case bk::Chore::check:
        upkeep.call.printer.stage("checking the repository");
        upkeep.note(chore, [&] { upkeep.restic.verify({}); });
        return "the repository is whole; its data was not read";
    case bk::Chore::read: {
        const unsigned quarter = bk::quarter_of(now());
        upkeep.call.printer.stage("checking the repository, and reading data");
        upkeep.note(bk::Chore::check,
                    [&] { upkeep.note(chore, [&] { upkeep.restic.verify_part(quarter, 4); }); });
        return fmt::format("the repository is whole; quarter {} of its data was read", quarter);
    }
    }
    return "";
}

bool try_chore(Upkeep& upkeep, bk::Chore chore) {
    try {
        upkeep.call.printer.answer(fmt::format("{}: {}", to_string(chore), do_chore(upkeep, chore)));
        upkeep.call.printer.flush_answer();
        return true;
    } catch (const Error& error) {
        check_signals();
        upkeep.call.printer.answer(fmt::format("{} FAILED: {}", to_string(chore), error.what()),
                                   cli::Tone::bad);
        upkeep.call.printer.flush_answer();
        return false;
    }
}

} // namespace

int backup_check(cli::Call& call) {
    Upkeep upkeep(call);
    const auto percent = call.arguments.integer("read-data-subset");
    call.printer.stage(percent ? "checking the repository, and reading data" : "checking the repository");
    upkeep.note(bk::Chore::check, [&] {
        upkeep.restic.verify(percent ? std::optional(static_cast<unsigned>(*percent)) : std::nullopt);
    });
    call.printer.answer(percent ? fmt::format("the repository is whole; {} % of its data was read", *percent)
                                : "the repository is whole; its data was not read");
    call.printer.flush_answer();
    return 0;
}

int backup_forget(cli::Call& call) {
    const bool is_look = call.arguments.has("dry-run");
    Upkeep upkeep(call);
    std::vector<bk::Fate> all;
    if (is_look)
        all = fates(upkeep, bk::Noting::only_looks);
    else
        forget_now(upkeep, all);
    if (call.arguments.has("json"))
        print_json(call.printer, all);
    else
        print_lines(call.printer, all, is_look);
    call.printer.flush_answer();
    return 0;
}

int backup_prune(cli::Call& call) {
    Upkeep upkeep(call);
    prune_now(upkeep);
    call.printer.answer("what no backup needs is gone from the repository");
    call.printer.flush_answer();
    return 0;
}

int backup_maintain(cli::Call& call) {
    Upkeep upkeep(call);
    const auto due = bk::due_chores(upkeep.settings, upkeep.ledger, now());
    bool all_well = true;
    for (const bk::Chore each : due) {
        check_signals();
        all_well &= try_chore(upkeep, each);
    }
    if (due.empty()) call.printer.answer("Nothing is due");
    call.printer.flush_answer();
    return all_well ? 0 : 1;
}

} // namespace blockhost::subcommands
