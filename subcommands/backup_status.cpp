// SPDX-License-Identifier: MIT
/// backup status: how the backups of the VMs stand, and their repository. It asks no repository.

#include "backup/housekeeping.hpp"
#include "backup/last_drill.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <map>

namespace blockhost::subcommands {

namespace {

namespace bk = blockhost::backup;
namespace bj = boost::json;

constexpr std::array<bk::Chore, 4> chores{bk::Chore::check, bk::Chore::read, bk::Chore::forget,
                                          bk::Chore::prune};

std::int64_t seconds_between(Instant from, Instant to) {
    return std::chrono::floor<std::chrono::seconds>(to - from).count();
}

bj::value instant_or_null(const std::optional<Instant>& at) {
    return at ? bj::value(format_instant(*at)) : bj::value(nullptr);
}

/// By VM. One that cannot be read is warned of, and counts as none.
using Drills = std::map<std::string, bk::LastDrill>;

Drills drills_of(const cli::Call& call, const std::vector<bk::Standing>& vms) {
    Drills drills;
    for (const bk::Standing& each : vms) {
        try {
            if (auto last = bk::read_last_drill(call.paths, each.vm))
                drills.emplace(each.vm.str(), std::move(*last));
        } catch (const Error& error) {
            call.printer.warn(error.message());
        }
    }
    return drills;
}

bj::value document_of(const Drills& drills, const VmName& vm) {
    const auto found = drills.find(vm.str());
    if (found == drills.end()) return nullptr;
    const bk::LastDrill& last = found->second;
    return bj::object{{"at", format_instant(last.at)},
                      {"backup", last.snapshot},
                      {"passed", last.passed},
                      {"reason", last.reason}};
}

std::string_view word_of(const Drills& drills, const VmName& vm) {
    const auto found = drills.find(vm.str());
    if (found == drills.end()) return "never";
    return found->second.passed ? "ok" : "FAILED";
}

bj::object document_of(const bk::Standing& one, const Drills& drills, Instant when) {
    const auto& good = one.last_good;
    const auto of_good = [&](std::int64_t number) { return good ? bj::value(number) : bj::value(nullptr); };
    return {{"name", one.vm.str()},
            {"policy", one.policy},
            {"last_backup", good ? bj::value(good->snapshot) : bj::value(nullptr)},
            {"taken_at", good ? instant_or_null(good->began) : bj::value(nullptr)},
            {"age_seconds", of_good(good ? seconds_between(good->began, when) : 0)},
            {"duration_seconds", of_good(good ? seconds_between(good->began, good->ended) : 0)},
            {"data_bytes", of_good(good ? static_cast<std::int64_t>(good->data_bytes) : 0)},
            {"stored_bytes", of_good(good ? static_cast<std::int64_t>(good->stored_bytes) : 0)},
            {"last_attempt_at", one.last ? instant_or_null(one.last->began) : bj::value(nullptr)},
            {"last_error", one.last ? bj::value(one.last->error) : bj::value(nullptr)},
            {"drill", document_of(drills, one.vm)},
            {"due", one.is_due},
            {"overdue", one.is_overdue}};
}

bj::object document_of(bk::Ledger* ledger, bk::Chore chore) {
    const auto last = ledger != nullptr ? ledger->last(chore) : std::nullopt;
    const auto good = ledger != nullptr ? ledger->last_good(chore) : std::nullopt;
    return {{"last_at", last ? instant_or_null(last->ended) : bj::value(nullptr)},
            {"last_error", last ? bj::value(last->error) : bj::value(nullptr)},
            {"last_good_at", instant_or_null(good)}};
}

void print_json(cli::Printer& printer, const bk::Settings& settings, bk::Ledger* ledger,
                const std::vector<bk::Standing>& vms, const Drills& drills, Instant when) {
    bj::object repository{{"address", settings.repository},
                          {"id", settings.repository_id},
                          {"append_only", settings.policies.append_only}};
    for (const bk::Chore each : chores) repository[to_string(each)] = document_of(ledger, each);
    bj::array list;
    for (const bk::Standing& each : vms) list.push_back(document_of(each, drills, when));
    printer.answer(json::python_line(bj::object{{"repository", repository}, {"vms", list}}));
}

std::string_view word_of(const bk::Standing& one) {
    if (one.is_overdue) return "overdue";
    if (one.last && !one.last->error.empty()) return "failed";
    return one.is_due ? "due" : "ok";
}

std::string shown(const std::optional<Instant>& at) {
    return at ? format_instant(std::chrono::floor<std::chrono::seconds>(*at)) : "never";
}

void print_lines(cli::Printer& printer, const bk::Settings& settings, bk::Ledger* ledger,
                 const std::vector<bk::Standing>& vms, const Drills& drills) {
    constexpr std::string_view row = "{:<8}  {:<10}  {:<25}  {:>6}  {:>9}  {:<6}  {}";
    printer.answer(fmt::format(row, "STANDING", "POLICY", "LAST", "TOOK", "STORED", "DRILL", "VM"));
    for (const bk::Standing& each : vms) {
        const auto& good = each.last_good;
        printer.answer(
            fmt::format(
                row, word_of(each), each.policy, shown(good ? std::optional(good->began) : std::nullopt),
                good ? fmt::format("{} s", seconds_between(good->began, good->ended)) : "-",
                good ? text::human_bytes(good->stored_bytes) : "-", word_of(drills, each.vm), each.vm.str()),
            each.is_overdue ? cli::Tone::bad : cli::Tone::plain);
        if (each.last && !each.last->error.empty())
            printer.answer("          " + text::printable(each.last->error), cli::Tone::bad);
    }
    printer.answer("repository " + text::printable(settings.repository));
    for (const bk::Chore each : chores) {
        const auto last = ledger != nullptr ? ledger->last(each) : std::nullopt;
        const bool failed = last && !last->error.empty();
        printer.answer(fmt::format("{:<7} {}{}", to_string(each),
                                   shown(last ? std::optional(last->ended) : std::nullopt),
                                   failed ? ": FAILED: " + text::printable(last->error) : ""),
                       failed ? cli::Tone::bad : cli::Tone::plain);
    }
}

} // namespace

int backup_status(cli::Call& call) {
    const bk::Settings settings = bk::require_settings(call.paths);
    auto ledger = bk::Ledger::existing(call.paths, settings.repository_id);
    const Instant when = now();
    const auto vms =
        bk::stand_of(readable_records(call), settings.policies, ledger ? &*ledger : nullptr, when);
    const Drills drills = drills_of(call, vms);
    if (call.arguments.has("json"))
        print_json(call.printer, settings, ledger ? &*ledger : nullptr, vms, drills, when);
    else
        print_lines(call.printer, settings, ledger ? &*ledger : nullptr, vms, drills);
    call.printer.flush_answer();
    return 0;
}

} // namespace blockhost::subcommands
