// SPDX-License-Identifier: MIT
/// extend: gives a VM more time, in the VM database alone.

#include "subcommands/verbs.hpp"
#include "vm/clock_check.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

/// What the record says before and after.
struct Extension {
    RecordStatus status;
    std::optional<Instant> before; ///< nothing when it could not be read
    Instant expires_at;
};

/// From when the days count, and whether they may end earlier than what is paid for.
struct Manner {
    bool from_now = false, shorten = false;
};

Extension extend(World& world, const VmName& name, std::int64_t days, Manner manner) {
    Extension extension{};
    world.registry.change([&](Database& database) {
        const auto record = database.find(name);
        if (!manner.from_now && record && record->status != RecordStatus::destroyed && !record->expires_at)
            throw Error(Code::registry, "the record of " + name.str() + " has no expiry that can be read",
                        "use --from-now");
        const Instant base = manner.from_now || !record || !record->expires_at ? now() : *record->expires_at;
        extension.expires_at = base + std::chrono::hours(24) * days;
        // Other programs read it with Python's datetime, which ends there.
        if (extension.expires_at >= *parse_instant("9999-12-31"))
            throw Error(Code::invalid, name.str() + " would expire after the year 9999",
                        "other programs cannot read such a date; give fewer days");
        if (!manner.shorten && record && record->status != RecordStatus::destroyed && record->expires_at &&
            extension.expires_at < *record->expires_at)
            throw Error(
                Code::invalid,
                fmt::format("{} is paid until {}; {} days from now would end that earlier, so nothing was "
                            "changed",
                            name.str(), format_instant(*record->expires_at), days),
                "leave out --from-now to add to it; --shorten ends it earlier");
        database.set_expiry(name, extension.expires_at);
        extension.status = record->status;
        extension.before = record->expires_at;
    });
    return extension;
}

/// Puts back the expiry that `done` found. Returns why it could not; empty when it did.
std::string take_back(World& world, const VmName& name, const Extension& done) {
    std::string why = done.before ? "" : "there was no expiry before";
    if (!why.empty()) return why;
    try {
        world.registry.change([&](Database& database) {
            const auto record = database.find(name);
            if (record && record->status != RecordStatus::destroyed && record->expires_at == done.expires_at)
                database.set_expiry(name, *done.before);
            else
                why = "somebody has changed it since";
        });
    } catch (const Error& error) {
        why = error.message();
    }
    return why;
}

/// A caller who does not hear that days were added calls again, and they must not be added twice.
void tell(const cli::Call& call, World& world, const VmName& name, const Extension& done) {
    const std::string line = fmt::format("{} expires at {}", name.str(), format_instant(done.expires_at));
    try {
        call.printer.answer(line);
        call.printer.flush_answer();
    } catch (const Error& unheard) {
        const std::string why = take_back(world, name, done);
        if (why.empty()) throw;
        throw Error(unheard.code(),
                    fmt::format("{}, and the days were not taken back: {}", unheard.message(), why),
                    line + " now");
    }
}

/// Nobody should pay for a VM that is half gone.
void check_not_going(const World& world, const VmName& name) {
    const auto entry = world.journal.peek(name);
    if (!entry || entry->seen() != EntrySeen::destroy) return;
    const auto& started = entry->started;
    if (std::find(started.begin(), started.end(), "undefine") == started.end()) return;
    throw Error(Code::wrong_state, name.str() + " is being destroyed: its domain is gone already",
                "create it anew");
}

int run(cli::Call& call) {
    const VmName name = vm_name(call);
    World world = open_world(call, Intent::change);
    check_not_going(world, name);
    if (call.arguments.has("from-now")) warn_of_clock(world);
    const Extension done = extend(world, name, *call.arguments.integer("days"),
                                  {call.arguments.has("from-now"), call.arguments.has("shorten")});
    tell(call, world, name, done);
    if (done.expires_at <= now())
        call.printer.warn(name.str() + " is expired all the same; --from-now counts from now");
    if (done.status == RecordStatus::suspended)
        call.printer.warn(
            fmt::format("{0} is suspended; 'blockhost-libvirt resume {0}' lets it run", name.str()));
    return 0;
}

constexpr std::string_view details =
    "Adds to the expiry in the VM database, as the engines' own tool does, "
    "also to one that is past. The domain is "
    "not touched: a suspended VM wants resume afterwards. "
    "--from-now never ends earlier what is paid for, unless --shorten says so.";

} // namespace

cli::Row extend_row() {
    return {
        .verb = "extend",
        .summary = "let a VM expire later",
        .details = details,
        .operands = {vm_operand()},
        .options = {{.name = "days",
                     .kind = cli::Option::Kind::integer,
                     .value = "N",
                     .min = limits::expiry_days_min,
                     .max = limits::expiry_days_max,
                     .help = "how many days more",
                     .presence = cli::Option::Presence::required},
                    {.name = "from-now", .help = "count from now, not from its expiry"},
                    {.name = "shorten", .help = "with --from-now: also where that ends earlier"}},
        .output = {.text = "one line: when the VM expires now",
                   .unheard = "the expiry is as it was, so that a repeat adds the days once"},
        .examples = {{"web-001 --days 30", "thirty days more"},
                     {"web-001 --days 7 --from-now", "a week from now"}},
        .needs = cli::Needs::registry,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
