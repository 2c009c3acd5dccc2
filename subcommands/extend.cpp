/// extend: more time for a VM, in the VM database alone.

#include "subcommands/verbs.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

/// What the record says before and after.
struct Extension {
    RecordStatus status;
    Instant expires_at;
};

Extension extend(World& world, const VmName& name, std::int64_t days, bool from_now) {
    Extension extension{};
    world.registry.change([&](Database& database) {
        const auto record = database.find(name);
        if (!from_now && record && record->status != RecordStatus::destroyed && !record->expires_at)
            throw Error(Code::registry, "the record of " + name.str() + " has no expiry that can be read",
                        "use --from-now");
        const Instant base = from_now || !record || !record->expires_at ? now() : *record->expires_at;
        extension.expires_at = base + std::chrono::hours(24) * days;
        // Python's datetime, which other programs read it with, ends there.
        if (extension.expires_at >= *parse_instant("9999-12-31"))
            throw Error(Code::invalid, name.str() + " would expire after the year 9999",
                        "other programs cannot read such a date; give fewer days");
        database.set_expiry(name, extension.expires_at);
        extension.status = record->status;
    });
    return extension;
}

/// Nobody shall pay for a VM that is half gone.
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
    const Extension done =
        extend(world, name, *call.arguments.integer("days"), call.arguments.has("from-now"));
    call.printer.answer(fmt::format("{} expires at {}", name.str(), format_instant(done.expires_at)));
    call.printer.flush_answer();
    if (done.expires_at <= now())
        call.printer.warn(name.str() + " is expired all the same; --from-now counts from now");
    if (done.status == RecordStatus::suspended)
        call.printer.warn(
            fmt::format("{0} is suspended; 'blockhost-libvirt resume {0}' lets it run", name.str()));
    return 0;
}

constexpr std::string_view details = "Adds to the expiry in the VM database, as the engines' own tool does, "
                                     "also to one that is past. The domain is "
                                     "not touched: a suspended VM wants resume afterwards.";

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
                    {.name = "from-now", .help = "count from now, not from its expiry"}},
        .output = {.text = "one line: when the VM expires now"},
        .examples = {{"web-001 --days 30", "thirty days more"},
                     {"web-001 --days 7 --from-now", "a week from now"}},
        .needs = cli::Needs::registry,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
