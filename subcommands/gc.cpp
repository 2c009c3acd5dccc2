// SPDX-License-Identifier: MIT
/// gc: suspends expired VMs, and destroys those that stay unpaid.

#include "expiry/gc.hpp"

#include "backup/housekeeping.hpp"
#include "base/text/json.hpp"
#include "hypervisor/xml/claim.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"
#include "vm/clock_check.hpp"
#include "vm/expiry.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

expiry::GcRequest request_of(const cli::Call& call, const DbConfig& config) {
    const bool only_suspend = call.arguments.has("suspend-only"),
               only_destroy = call.arguments.has("destroy-only");
    if (only_suspend && only_destroy)
        throw Error(Code::invalid, "--suspend-only and --destroy-only exclude each other",
                    "give one of them");
    expiry::GcRequest request;
    request.suspend = !only_destroy;
    request.destroy = !only_suspend;
    request.grace_days = call.arguments.integer("grace-days").value_or(config.gc_grace_days);
    request.jobs = jobs(call);
    if (const auto seconds = call.arguments.integer("patience"))
        request.patience = std::chrono::seconds(*seconds);
    if (request.grace_days < 0)
        throw Error(Code::config, "gc_grace_days in db.yaml is negative", "set it to 0 or more");
    return request;
}

/// The two largest units of a span: "3 d 4 h", "5 min".
std::string human(std::chrono::seconds age) {
    const auto minutes = age.count() / 60, hours = minutes / 60, days = hours / 24;
    if (days > 0) return fmt::format("{} d {} h", days, hours % 24);
    if (hours > 0) return fmt::format("{} h {} min", hours, minutes % 60);
    return fmt::format("{} min", minutes);
}

/// The phases' titles, words and actions.
struct Phase {
    std::string_view banner, noun, verb;
    expiry::GcAction action;
};
constexpr std::array<Phase, 9> phases{{
    {"PHASE 0: FINISH WHAT WAS INTERRUPTED", "Recover", "recover", expiry::GcAction::recover},
    {"PHASE 1: SUSPEND EXPIRED VMs", "Suspend", "suspend", expiry::GcAction::suspend},
    {"", "Hold off", "shut down again", expiry::GcAction::hold_off},
    {"PHASE 2: DESTROY PAST-GRACE VMs", "Destroy", "destroy", expiry::GcAction::destroy},
    {"PHASE 3: FIND WHAT WAS LOST", "Adopt", "write a record for", expiry::GcAction::adopt},
    {"", "Mend", "mend what guards", expiry::GcAction::mend},
    {"", "Keep", "make the changes permanent of", expiry::GcAction::keep},
    {"", "Release", "release", expiry::GcAction::release},
    {"", "Report", "", expiry::GcAction::report},
}};

std::string line_of(const expiry::GcItem& item) {
    return fmt::format("  {}: {}{}", item.object, item.reason,
                       item.age ? fmt::format(" ({} ago)", human(*item.age)) : "");
}

/// Prints what will or would happen, and why, before anything is touched.
void print_plan(cli::Printer& printer, const std::vector<expiry::GcItem>& items, bool execute) {
    for (const Phase& phase : phases) {
        const auto count = std::count_if(items.begin(), items.end(), [&](const expiry::GcItem& item) {
            return item.action == phase.action;
        });
        if (!phase.banner.empty()) printer.answer(phase.banner);
        if (count == 0 && phase.action != expiry::GcAction::suspend &&
            phase.action != expiry::GcAction::destroy)
            continue;
        printer.answer(fmt::format("{}: {} candidate{}", phase.noun, count, count == 1 ? "" : "s"));
        for (const expiry::GcItem& item : items) {
            if (item.action != phase.action) continue;
            printer.answer(line_of(item));
            if (!execute && !phase.verb.empty())
                printer.answer(fmt::format("  [DRY RUN] Would {} {}", phase.verb, item.object));
        }
    }
    printer.flush_answer();
}

void print_end(cli::Printer& printer, const expiry::GcItem& item) {
    printer.answer(fmt::format("{} {}: {}{}", to_string(item.action), item.object,
                               item.end == expiry::GcItem::End::failed ? "FAILED" : to_string(item.end),
                               item.detail.empty() ? "" : ": " + item.detail));
    printer.flush_answer();
}

/// A candidate that was not begun because of a signal counts as an error.
struct Summary {
    std::size_t processed = 0, skipped = 0, errors = 0;
};
Summary sum(const std::vector<expiry::GcItem>& items, bool execute) {
    Summary summary;
    for (const expiry::GcItem& item : items) {
        if (item.action == expiry::GcAction::report) continue;
        if (item.end == expiry::GcItem::End::skipped)
            ++summary.skipped;
        else if (item.end == expiry::GcItem::End::done || !execute)
            ++summary.processed;
        else
            ++summary.errors;
    }
    return summary;
}

void print_summary(cli::Printer& printer, const Summary& summary, bool execute) {
    printer.answer("SUMMARY");
    printer.answer(fmt::format("  {}: {}", execute ? "Processed" : "Would process", summary.processed));
    if (summary.skipped > 0) printer.answer(fmt::format("  Skipped: {}", summary.skipped));
    printer.answer(fmt::format("  Errors: {}", summary.errors));
    if (!execute) printer.answer("Nothing was changed; --execute carries it out");
}

void print_json(cli::Printer& printer, const std::vector<expiry::GcItem>& items, const Summary& summary,
                bool execute) {
    namespace bj = boost::json;
    bj::array all;
    for (const expiry::GcItem& item : items)
        all.push_back(bj::object{{"object", item.object},
                                 {"action", to_string(item.action)},
                                 {"reason", item.reason},
                                 {"age_seconds", item.age ? bj::value(item.age->count()) : bj::value()},
                                 {"end", to_string(item.end)},
                                 {"detail", item.detail}});
    printer.answer(json::python_line(bj::object{{"executed", execute},
                                                {"items", all},
                                                {"processed", summary.processed},
                                                {"skipped", summary.skipped},
                                                {"errors", summary.errors}}));
}

void check_clock(const World& world, const cli::Call& call) {
    const auto doubt = clock_doubt(world);
    if (!doubt) return;
    if (call.arguments.has("force-clock") || !call.arguments.has("execute")) {
        call.printer.warn(doubt->what);
        return;
    }
    throw Error(Code::clock, "the clock is not to be trusted: " + doubt->what + "; nothing was changed",
                "set the clock right; if it is right, --force-clock goes on");
}

/// A run is done even when it cannot be remembered.
void remember(World& world, Instant when) {
    try {
        remember_gc_run(world, when);
    } catch (const Error& error) {
        world.progress.warn(error.what());
    }
}

/// What backup.json asks before a destroy. Throws where that cannot be told: no VM is destroyed then.
backup::Policies policies_before_a_destroy(const Paths& paths) {
    try {
        const auto settings = backup::read_settings(paths);
        return settings ? settings->policies : backup::Policies{};
    } catch (const Error& error) {
        throw Error(error.code(),
                    fmt::format("whether a last backup is wanted cannot be read: {}", error.message()),
                    error.hint());
    }
}

/// Where backup.json wants a last backup, a destroy waits until one was taken since the suspension, up to a
/// bound. Root's timer takes it; gc's user could not. `world` must outlive the gate.
GateOfGc behind_last_backup(const World& world, std::int64_t grace_days, GateOfGc gate) {
    return [&world, grace_days, gate](const VmName& name, const std::function<void()>& act) -> std::string {
        const backup::Policies policies = policies_before_a_destroy(world.paths);
        const auto record = world.registry.read().find(name);
        const auto until =
            record && is_overdue(*record, grace_days, now())
                ? put_off_until(policies, *record->suspended_at, backup::told_last_backup(world, name),
                                std::chrono::days(grace_days))
                : std::nullopt;
        if (until && *until > now())
            return fmt::format(
                "it waits for its last backup until {}; 'blockhost-libvirt backup {}' takes it",
                format_instant(std::chrono::floor<std::chrono::seconds>(*until)), name.str());
        if (until)
            world.progress.warn(
                fmt::format("{} gets no last backup: none was taken since its suspension", name.str()));
        return gate(name, act);
    };
}

int collect(cli::Call& call) {
    const bool execute = call.arguments.has("execute"), as_json = call.arguments.has("json");
    World world = open_world(call, execute ? Intent::change : Intent::look);
    expiry::GcRequest request = request_of(call, world.config);
    if (execute) request.gate = behind_last_backup(world, request.grace_days, gate_of_gc(call));
    check_clock(world, call);
    const Instant when = now();
    std::vector<expiry::GcItem> items = expiry::decide_gc(expiry::look_around(world), request, when);
    if (!as_json) print_plan(call.printer, items, execute);
    if (execute) {
        expiry::carry_out_gc(world, request, items, [&](const expiry::GcItem& item) {
            if (!as_json) print_end(call.printer, item);
        });
        remember(world, when);
    }
    const Summary summary = sum(items, execute);
    if (as_json)
        print_json(call.printer, items, summary, execute);
    else
        print_summary(call.printer, summary, execute);
    call.printer.flush_answer();
    Interruption().check(); // candidates not begun because of a signal were counted as errors
    return summary.errors == 0 ? 0 : 1;
}

/// A wrong clock has an exit status of its own, so that a watcher of gc can tell it from everything else.
int run(cli::Call& call) {
    try {
        return collect(call);
    } catch (const Error& error) {
        if (error.code() != Code::clock) throw;
        if (call.arguments.has("json")) call.printer.answer(cli::Printer::error_json(error));
        call.printer.error(error);
        call.printer.flush_answer();
        return row_of(Code::clock).exit_status;
    }
}

constexpr std::string_view details =
    "Shows what it would do; --execute does it. An active VM past its expiry is shut down and marked "
    "suspended; one "
    "that is suspended for longer than the grace is destroyed. Each is looked at again under its lock first: "
    "one "
    "that was extended meanwhile is left alone. What interrupted operations left is finished, a domain of "
    "ours "
    "without a record gets one, a running VM that lost what keeps it apart from its neighbours gets it back, "
    "and what cannot be proved ours is only reported.\n\n"
    "With a clock that cannot be trusted nothing is done (exit status 20): when the kernel says that it is "
    "not "
    "synchronised, when it is earlier than something that was written already, or more than 35 days after "
    "the last "
    "run.";

} // namespace

cli::Row gc_row() {
    return {
        .verb = "gc",
        .contract_name = "blockhost-vm-gc",
        .summary = "suspend expired VMs and destroy those that stay unpaid",
        .details = details,
        .options =
            {{.name = "execute", .help = "do it; without, only show what would be done"},
             {.name = "suspend-only", .help = "destroy nothing"},
             {.name = "destroy-only", .help = "suspend nothing"},
             {.name = "grace-days",
              .kind = cli::Option::Kind::integer,
              .value = "N",
              .default_text = "gc_grace_days of db.yaml, or 7",
              .min = 0,
              .max = limits::expiry_days_max,
              .help = "days between suspension and destruction"},
             jobs_option(),
             {.name = "patience",
              .kind = cli::Option::Kind::integer,
              .value = "SECONDS",
              .default_text = "60",
              .min = 0,
              .max = 600,
              .help = "how long a guest may take to shut down before it is forced off"},
             {.name = "json", .help = "print one JSON document"},
             {.name = "force-clock", .help = "go on with a clock that is not to be trusted"},
             {.name = "verbose", .help = "", .standing = cli::Option::Standing::ignored, .letter = 'v'}},
        .output =
            {.text = "what is due and why, what was done, and a summary in lines",
             .json_keys = {"executed", "items", "processed", "skipped", "errors"},
             .json_call = "--json",
             .unheard =
                 "without a plan nothing is begun, and what was begun is ended; a repeat finds what is left"},
        .examples = {{"", "show what would be done"},
                     {"--execute", "do it; the timer does this once a day"},
                     {"--execute --suspend-only --grace-days 14", "suspend, destroy nothing"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::destroys,
        .exit = cli::Row::Exit::contract,
        .run = run,
    };
}

} // namespace blockhost::subcommands
