// SPDX-License-Identifier: MIT
/// throttle: limits a running VM, for a while or for good; shows its limits.

#include "limits/throttle.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;

constexpr auto longest_span = std::chrono::hours(24 * 365);
constexpr auto patience_for_due = 50s; ///< its timer runs each minute

std::optional<std::chrono::seconds> span_of(const cli::Call& call) {
    const auto text = call.arguments.text("for");
    if (!text) return std::nullopt;
    const auto span = parse_span(*text);
    if (!span || *span > longest_span)
        throw Error(Code::invalid, fmt::format("--for: '{}' is not a duration", text::printable(*text)),
                    "write 90s, 30m, 12h or 7d; from 1s to 365d");
    return span;
}

limits::ThrottleRequest request_of(const cli::Call& call) {
    limits::ThrottleRequest request;
    for (const limits::LimitRow& row : limits::limit_table()) {
        if (row.option.empty()) continue;
        if (const auto value = call.arguments.integer(row.option)) request.values[row.limit] = *value;
    }
    request.reset = call.arguments.has("reset");
    request.persist = call.arguments.has("persist");
    request.span = request.reset ? std::nullopt : span_of(call);
    return request;
}

/// Prints what is true now, and throws for what could not be done.
int print_end(const cli::Call& call, const limits::ThrottleEnd& end) {
    for (const std::string& line : end.lines) call.printer.answer(line);
    call.printer.flush_answer();
    if (!end.errors.empty()) throw Error(Code::hypervisor, fmt::format("{}", fmt::join(end.errors, "; ")));
    return 0;
}

bj::value json_number(limits::Limit limit, const limits::Setting& setting) {
    const auto value = limits::value_of(limit, setting);
    if (!value) return nullptr;
    if (std::floor(*value) == *value) return static_cast<std::int64_t>(*value);
    return *value;
}

bj::value side_json(const std::optional<limits::Settings>& side) {
    if (!side) return nullptr;
    bj::object object;
    for (const auto& [limit, setting] : *side)
        if (!limits::row_of(limit).option.empty() || limits::value_of(limit, setting))
            object[limits::row_of(limit).key] = json_number(limit, setting);
    return object;
}

bj::object until_json(const limits::LimitsShown& shown, TuningOf which) {
    bj::object object;
    for (const auto& [key, instant] : shown.until)
        if (key.first == which) object[limits::row_of(key.second).key] = format_instant(instant);
    return object;
}

void print_json(cli::Printer& printer, const VmName& name, const limits::LimitsShown& shown) {
    printer.answer(json::python_line(
        bj::object{{"name", name.str()},
                   {"running", side_json(shown.running)},
                   {"definition", side_json(shown.definition)},
                   {"until", bj::object{{"running", until_json(shown, TuningOf::running)},
                                        {"definition", until_json(shown, TuningOf::definition)}}}}));
}

/// "50% until 2026-01-01T00:00:00+00:00", "unlimited", "unknown".
std::string side_words(const limits::LimitsShown& shown, TuningOf which, const limits::Settings& side,
                       limits::Limit limit) {
    const auto setting = side.find(limit);
    if (setting == side.end()) return "unknown";
    const auto until = shown.until.find({which, limit});
    return limits::value_words(limit, setting->second) +
           (until == shown.until.end() ? "" : " until " + format_instant(until->second));
}

bool is_set(const limits::LimitsShown& shown, limits::Limit limit) {
    const auto in = [&](const limits::Settings& side) {
        const auto found = side.find(limit);
        return found != side.end() && limits::value_of(limit, found->second);
    };
    return (shown.running && in(*shown.running)) || in(shown.definition);
}

void print_lines(cli::Printer& printer, const limits::LimitsShown& shown) {
    for (const limits::LimitRow& row : limits::limit_table()) {
        if (row.option.empty() && !is_set(shown, row.limit)) continue;
        const std::string running =
            shown.running ? side_words(shown, TuningOf::running, *shown.running, row.limit) : "not running";
        printer.answer(fmt::format("{}: {} (definition: {})", row.title, running,
                                   side_words(shown, TuningOf::definition, shown.definition, row.limit)));
    }
}

int show(const cli::Call& call, const VmName& name) {
    World world = open_world(call, Intent::look);
    const limits::LimitsShown shown = limits::show_limits(world, name);
    if (call.arguments.has("json"))
        print_json(call.printer, name, shown);
    else
        print_lines(call.printer, shown);
    call.printer.flush_answer();
    return 0;
}

/// Opens a world of its own: open_world would take the limits back in passing, and say less.
int take_back(const cli::Call& call) {
    World world(call.paths, call.mock ? Reality::simulated : Reality::real, Intent::change, call.printer);
    return print_end(call, limits::take_back_due_limits(world, patience_for_due));
}

/// --due and --show stand alone: neither goes with limits.
void check_usage(const cli::Call& call) {
    const bool due = call.arguments.has("due"), shows = call.arguments.has("show");
    const bool named = !call.arguments.operands().empty();
    if (due && named) throw Error(Code::usage, "--due takes no NAME");
    if (!due && !named) throw Error(Code::usage, "operand <name> is missing");
    bool changes = call.arguments.has("reset") || call.arguments.has("persist") || call.arguments.has("for");
    for (const limits::LimitRow& row : limits::limit_table())
        changes = changes || (!row.option.empty() && call.arguments.has(row.option));
    if ((due || shows) && (changes || (due && shows)))
        throw Error(Code::usage, fmt::format("{} goes with no other option", due ? "--due" : "--show"));
    if (call.arguments.has("json") && !shows) throw Error(Code::usage, "--json goes with --show only");
}

int run(cli::Call& call) {
    check_usage(call);
    if (call.arguments.has("due")) return take_back(call);
    const VmName name = vm_name(call);
    if (call.arguments.has("show")) return show(call, name);
    const limits::ThrottleRequest request = request_of(call);
    World world = open_world(call, Intent::change);
    return print_end(call, limits::throttle(world, name, request));
}

std::vector<cli::Option> options() {
    std::vector<cli::Option> all;
    const auto add = [&](limits::Limit limit, std::string_view value, std::string_view help) {
        const limits::LimitRow& row = limits::row_of(limit);
        all.push_back({.name = row.option,
                       .kind = cli::Option::Kind::integer,
                       .value = value,
                       .min = row.min,
                       .max = row.max,
                       .help = help});
    };
    add(limits::Limit::cpu_shares, "WEIGHT", "share of the processors when they are scarce");
    add(limits::Limit::cpu_quota, "PERCENT", "most of its virtual CPUs that it may use");
    add(limits::Limit::bandwidth_in, "KBPS", "kilobits a second towards the guest; 0: unlimited");
    add(limits::Limit::bandwidth_out, "KBPS", "kilobits a second from the guest; 0: unlimited");
    add(limits::Limit::iops_read, "N", "reads a second; 0: unlimited");
    add(limits::Limit::iops_write, "N", "writes a second; 0: unlimited");
    all.push_back({.name = "reset", .help = "return to what the VM had when it was created"});
    all.push_back({.name = "persist", .help = "write the definition too, so that a restart keeps it"});
    all.push_back({.name = "for",
                   .kind = cli::Option::Kind::text,
                   .value = "DURATION",
                   .help = "take the limits back after 90s, 30m, 12h, 7d",
                   .offers = {"30m", "1h", "12h", "7d"}});
    all.push_back({.name = "show", .help = "print the limits, change nothing"});
    all.push_back({.name = "json", .help = "with --show: print a JSON object"});
    all.push_back({.name = "due", .help = "without NAME: take back every limit whose time is over"});
    return all;
}

constexpr std::string_view details =
    "Limits are added to those there are; those of a running VM vanish with its restart. Each line of the "
    "answer is what libvirt shows afterwards; what could not be set is said on stderr, and the rest "
    "stays.\n\n"
    "--reset wins over all limits and returns to what the definition says, less what --persist wrote. A "
    "limit "
    "set with --for ends on time also when this program is killed: the next changing verb, or 'throttle "
    "--due', takes it back. With --persist the VM may be off.";

} // namespace

cli::Row throttle_row() {
    return {
        .verb = "throttle",
        .contract_name = "blockhost-vm-throttle",
        .summary = "limit CPU, network and disk of a running VM",
        .details = details,
        .operands = {{.name = "NAME",
                      .help = "the VM's name",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm,
                      .fits = cli::Operand::Fits::active}},
        .options = options(),
        .output = {.text = "one line for each limit, as libvirt shows it afterwards",
                   .json_keys = {"name", "running", "definition", "until"},
                   .json_call = "--show --json",
                   .unheard = "the limits are set all the same; a repeat sets the same ones, and those of "
                              "--for from its own time on"},
        .examples = {{"web-001 --cpu-quota 25 --for 12h", "a quarter of its processors for half a day"},
                     {"web-001 --show", "what limits it has"},
                     {"web-001 --reset --persist", "as it was created, also after a restart"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[vm-throttle] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
