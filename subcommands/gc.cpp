/// gc: what is expired is suspended, what stays unpaid is destroyed.

#include "lifecycle/gc.hpp"

#include "base/json.hpp"
#include "lifecycle/clock_guard.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

GcRequest request_of(const cli::Call& call, const DbConfig& config) {
    const bool only_suspend = call.arguments.has("suspend-only"),
               only_destroy = call.arguments.has("destroy-only");
    if (only_suspend && only_destroy)
        throw Error(Code::invalid, "--suspend-only and --destroy-only exclude each other",
                    "give one of them");
    GcRequest request;
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

/// "3 d 4 h", "5 min": the two largest units that matter to a person.
std::string human(std::chrono::seconds age) {
    const auto minutes = age.count() / 60, hours = minutes / 60, days = hours / 24;
    if (days > 0) return fmt::format("{} d {} h", days, hours % 24);
    if (hours > 0) return fmt::format("{} h {} min", hours, minutes % 60);
    return fmt::format("{} min", minutes);
}

/// What the phases are called, and their actions.
struct Phase {
    std::string_view banner, noun, verb;
    GcAction action;
};
constexpr std::array<Phase, 7> phases{{
    {"PHASE 0: FINISH WHAT WAS INTERRUPTED", "Recover", "recover", GcAction::recover},
    {"PHASE 1: SUSPEND EXPIRED VMs", "Suspend", "suspend", GcAction::suspend},
    {"", "Hold off", "shut down again", GcAction::hold_off},
    {"PHASE 2: DESTROY PAST-GRACE VMs", "Destroy", "destroy", GcAction::destroy},
    {"PHASE 3: FIND WHAT WAS LOST", "Adopt", "write a record for", GcAction::adopt},
    {"", "Release", "release", GcAction::release},
    {"", "Report", "", GcAction::report},
}};

std::string line_of(const GcItem& item) {
    return fmt::format("  {}: {}{}", item.object, item.reason,
                       item.age ? fmt::format(" ({} ago)", human(*item.age)) : "");
}

/// What will or would happen, with its reasons: printed before anything is touched.
void print_plan(cli::Printer& printer, const std::vector<GcItem>& items, bool execute) {
    for (const Phase& phase : phases) {
        const auto count = std::count_if(items.begin(), items.end(),
                                         [&](const GcItem& item) { return item.action == phase.action; });
        if (!phase.banner.empty()) printer.answer(phase.banner);
        if (count == 0 && phase.action != GcAction::suspend && phase.action != GcAction::destroy) continue;
        printer.answer(fmt::format("{}: {} candidate{}", phase.noun, count, count == 1 ? "" : "s"));
        for (const GcItem& item : items) {
            if (item.action != phase.action) continue;
            printer.answer(line_of(item));
            if (!execute && !phase.verb.empty())
                printer.answer(fmt::format("  [DRY RUN] Would {} {}", phase.verb, item.object));
        }
    }
    printer.flush_answer();
}

void print_end(cli::Printer& printer, const GcItem& item) {
    printer.answer(fmt::format("{} {}: {}{}", to_string(item.action), item.object,
                               item.end == GcItem::End::failed ? "FAILED" : to_string(item.end),
                               item.detail.empty() ? "" : ": " + item.detail));
    printer.flush_answer();
}

/// A candidate that a signal kept from being begun counts as an error.
struct Summary {
    std::size_t processed = 0, skipped = 0, errors = 0;
};
Summary sum(const std::vector<GcItem>& items, bool execute) {
    Summary summary;
    for (const GcItem& item : items) {
        if (item.action == GcAction::report) continue;
        if (item.end == GcItem::End::skipped)
            ++summary.skipped;
        else if (item.end == GcItem::End::done || !execute)
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

void print_json(cli::Printer& printer, const std::vector<GcItem>& items, const Summary& summary,
                bool execute) {
    namespace bj = boost::json;
    bj::array all;
    for (const GcItem& item : items)
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
        call.printer.warn(*doubt);
        return;
    }
    throw Error(Code::clock, "the clock is not to be trusted: " + *doubt + "; nothing was changed",
                "set the clock right; if it is right, --force-clock goes on");
}

/// What was done is done, whether or not it can be remembered.
void remember(World& world, Instant when) {
    try {
        remember_gc_run(world, when);
    } catch (const Error& error) {
        world.talk.warn(error.what());
    }
}

int collect(cli::Call& call) {
    const bool execute = call.arguments.has("execute"), as_json = call.arguments.has("json");
    World world = open_world(call, execute ? Intent::change : Intent::look);
    const GcRequest request = request_of(call, world.config);
    check_clock(world, call);
    const Instant when = now();
    std::vector<GcItem> items = decide_gc(look_around(world), request, when);
    if (!as_json) print_plan(call.printer, items, execute);
    if (execute) {
        carry_out_gc(world, request, items, [&](const GcItem& item) {
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
    Interruption().check(); // what a signal kept from being begun was counted as an error
    return summary.errors == 0 ? 0 : 1;
}

/// Whoever watches gc must be able to tell a wrong clock from everything else.
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
    "without a record gets one, and what cannot be proved ours is only reported.\n\n"
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
        .output = {.text = "what is due and why, what was done, and a summary in lines",
                   .json_keys = {"executed", "items", "processed", "skipped", "errors"},
                   .json_call = "--json"},
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
