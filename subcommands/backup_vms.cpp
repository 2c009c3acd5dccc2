// SPDX-License-Identifier: MIT
/// backup NAME…, backup --all: backs up VMs, one after another.

#include "backup/housekeeping.hpp"
#include "base/exceptions.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "operations/backup.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bk = blockhost::backup;

std::string words_of(const bk::Progressed& how) {
    const std::uint64_t percent = how.bytes_all == 0 ? 0 : how.bytes_done * 100 / how.bytes_all;
    const std::string left = how.left ? fmt::format(", {} s left", how.left->count()) : "";
    return fmt::format("{} % of {}{}", percent, text::human_bytes(how.bytes_all), left);
}

boost::json::value milliseconds_of(const std::optional<std::chrono::milliseconds>& span) {
    return span ? boost::json::value(span->count()) : boost::json::value();
}

boost::json::object document_of(const VmName& name, const operations::BackupEnd& end) {
    return {{"id", end.snapshot},
            {"name", name.str()},
            {"disk_bytes", end.disk_bytes},
            {"data_bytes", end.data_bytes},
            {"stored_bytes", end.stored_bytes},
            {"chunks", end.chunks},
            {"chunks_read", end.chunks_read},
            {"consistency", to_string(end.consistency)},
            {"frozen_ms", milliseconds_of(end.frozen)}};
}

boost::json::object document_of(const VmName& name, const Error& error) {
    return {{"name", name.str()},
            {"error", error.message()},
            {"code", row_of(error.code()).name},
            {"hint", error.hint()}};
}

std::string line_of(const VmName& name, const operations::BackupEnd& end) {
    return fmt::format("{} is backed up as {}: {} of data, {} new in the repository", name.str(),
                       end.snapshot.substr(0, 8), text::human_bytes(end.data_bytes),
                       text::human_bytes(end.stored_bytes));
}

/// Throws Error{usage} for what excludes each other.
void check_words(const cli::Call& call) {
    const bool all = call.arguments.has("all"), named = !call.arguments.operands().empty();
    if (all == named)
        throw Error(Code::usage,
                    all ? "backup takes NAMEs or --all, not both" : "backup needs a NAME or --all",
                    "'blockhost-libvirt list' shows the VMs");
    if (!all && (call.arguments.has("due") || call.arguments.has("policy")))
        throw Error(Code::usage, "--due and --policy choose among all VMs", "give --all with them");
}

/// The VMs that are named, each once.
std::vector<VmName> named(const cli::Call& call) {
    std::vector<VmName> names;
    for (const std::string& each : call.arguments.operands())
        if (const VmName name(each); std::ranges::find(names, name) == names.end()) names.push_back(name);
    return names;
}

/// The repository and the world that all backups of one call share.
struct Run {
    cli::Call& call;
    const OpenRepository opened;
    const bk::Settings& settings = opened.settings;
    const bk::Repository& repository = *opened.repository;
    bk::Ledger ledger;
    World world;

    explicit Run(cli::Call& the_call)
        : call(the_call), opened(open_repository_of(call)),
          ledger(bk::Ledger::open(call.paths, settings.repository_id)),
          world(open_world(call, Intent::change)) {}

    operations::BackupEnd back_up(const VmName& name) {
        call.printer.about_vm(name.str());
        const Interruption interruption;
        bk::Attempt attempt{.vm = name, .began = now(), .ended = {}};
        try {
            const auto end =
                operations::back_up(world, name, repository, settings, interruption,
                                    [&](const bk::Progressed& how) { call.printer.detail(words_of(how)); });
            attempt.snapshot = end.snapshot;
            attempt.data_bytes = end.data_bytes;
            attempt.stored_bytes = end.stored_bytes;
            note(attempt);
            return end;
        } catch (const Error& error) {
            attempt.error = error.message();
            if (is_an_attempt(error.code())) note(attempt);
            throw;
        }
    }

    /// All VMs whose record is live, as far as --policy and --due leave them.
    std::vector<VmName> chosen() {
        const auto policy = call.arguments.text("policy");
        if (policy && !settings.policies.by_name.contains(*policy))
            throw Error(Code::not_found, "there is no policy " + text::printable(*policy),
                        "daily, weekly, monthly and none are there, and those of backup.json");
        const bk::Catalogue catalogue(repository.snapshots());
        std::vector<VmName> names;
        for (const bk::Standing& each :
             bk::stand_of(readable_records(call), settings.policies, &ledger, now())) {
            if (policy && each.policy != *policy) continue;
            if (call.arguments.has("due") && !each.is_due && is_listed(catalogue, each)) continue;
            names.push_back(each.vm);
        }
        return names;
    }

  private:
    /// Whether the last backup is still in the repository; a VM that has none, and needs none, counts as
    /// well.
    static bool is_listed(const bk::Catalogue& catalogue, const bk::Standing& standing) {
        return !standing.last_good || std::ranges::find(catalogue.all(), standing.last_good->snapshot,
                                                        &bk::Backup::id) != catalogue.all().end();
    }

    /// Whether a failure is one of a backup, and not of the call.
    static bool is_an_attempt(Code code) {
        return code != Code::interrupted && code != Code::not_found && code != Code::foreign &&
               code != Code::invalid;
    }

    /// A backup is taken even when it cannot be noted.
    void note(bk::Attempt& attempt) {
        attempt.ended = now();
        try {
            ledger.note(attempt);
            bk::tell_last_backups(world, ledger);
        } catch (const Error& error) {
            call.printer.warn(fmt::format("the backup is not noted: {}", error.what()));
        }
    }
};

void answer(const cli::Call& call, const VmName& name, const operations::BackupEnd& end) {
    call.printer.answer(call.arguments.has("json") ? json::python_line(document_of(name, end))
                                                   : line_of(name, end));
    call.printer.flush_answer();
}

void answer(const cli::Call& call, const VmName& name, const Error& error) {
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(document_of(name, error)));
    else
        call.printer.answer(fmt::format("{} is not backed up: {}", name.str(), error.what()), cli::Tone::bad);
    call.printer.flush_answer();
}

/// One of several: why it is not backed up; nothing when it is. A signal ends all of them.
std::optional<Error> try_to_back_up(Run& run, const VmName& name) {
    operations::BackupEnd end;
    try {
        end = run.back_up(name);
    } catch (const Error& error) {
        check_signals();
        return error;
    }
    answer(run.call, name, end);
    return std::nullopt;
}

} // namespace

int backup_vms(cli::Call& call) {
    check_words(call);
    const bool all = call.arguments.has("all");
    auto names = named(call);
    Run run(call);
    if (all) names = run.chosen();
    if (names.size() == 1 && !all) {
        answer(call, names.front(), run.back_up(names.front()));
        return 0;
    }
    std::size_t failed = 0;
    for (const VmName& name : names) {
        check_signals();
        const auto error = try_to_back_up(run, name);
        if (!error) continue;
        ++failed;
        answer(call, name, *error);
    }
    if (names.empty() && !call.arguments.has("json")) call.printer.answer("There is no VM to back up");
    call.printer.flush_answer();
    return failed == 0 ? 0 : 1;
}

} // namespace blockhost::subcommands
