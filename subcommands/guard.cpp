// SPDX-License-Identifier: MIT
/// guard: looks at what keeps VMs apart, and mends it.

#include "safety/isolation.hpp"

#include "base/text/json.hpp"
#include "expiry/parallel.hpp"
#include "operations/recover.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;

enum class Mode { look, mend };

struct Guarded {
    std::string name;
    std::vector<std::string> missing; ///< before mending
    safety::Mending done;
    std::string skipped; ///< why the VM was left alone; empty: it was not
};

/// Works under the VM's lock. A VM that another process works on is skipped until the next round.
void mend(World& world, const VmName& name, Guarded& vm) {
    try {
        const JournalEntry entry =
            operations::take_entry(world, name, Journal::Manner::wait, Interruption(), 1s);
        vm.done = safety::mend_guards(world, observe(world, name));
    } catch (const Error& error) {
        if (error.code() != Code::busy) throw;
        vm.skipped = error.what();
    }
}

Guarded guard_one(World& world, const VmName& name, Mode mode) noexcept {
    Guarded vm{name.str(), {}, {}, {}};
    try {
        vm.missing = safety::missing_guards(world, observe(world, name), world.network->look());
        // Only root sees filter rules: for any other user, mend has root look.
        if (mode == Mode::mend) mend(world, name, vm);
    } catch (const std::exception& error) {
        vm.done.problems.push_back(fmt::format("{}: {}", name.str(), error.what()));
    }
    return vm;
}

/// That VM, or all that should run.
std::vector<std::string> names_of(const cli::Call& call, World& world, const std::optional<VmName>& name) {
    if (name) {
        require_ours(call, world.hypervisor(), *name);
        if (!world.registry.read().find(*name))
            throw Error(Code::not_found, "there is no VM named " + name->str());
        return {name->str()};
    }
    std::vector<std::string> names;
    for (const VmRecord& record : world.registry.read().records())
        if (record.status == RecordStatus::active) names.push_back(record.name.str());
    return names;
}

bool is_well(const Guarded& vm, Mode mode) {
    return vm.done.problems.empty() && vm.skipped.empty() && (mode == Mode::mend || vm.missing.empty());
}

void print_lines(cli::Printer& printer, const std::vector<Guarded>& vms, Mode mode) {
    bool nothing = true;
    const auto print = [&](const std::string& line) {
        printer.answer(line);
        nothing = false;
    };
    for (const Guarded& vm : vms) {
        if (mode == Mode::look)
            for (const std::string& clause : vm.missing) print(fmt::format("{}: {}", vm.name, clause));
        for (const std::string& clause : vm.done.mended)
            print(fmt::format("{}: mended: {}", vm.name, clause));
        for (const std::string& problem : vm.done.problems) print("FAILED: " + problem);
        if (!vm.skipped.empty()) print(fmt::format("{}: skipped: {}", vm.name, vm.skipped));
    }
    if (nothing) printer.answer("All guards stand");
}

void print_json(cli::Printer& printer, const std::vector<Guarded>& vms) {
    const auto list = [](const std::vector<std::string>& lines) {
        return bj::array(lines.begin(), lines.end());
    };
    bj::array all;
    for (const Guarded& vm : vms)
        all.push_back(bj::object{{"name", vm.name},
                                 {"missing", list(vm.missing)},
                                 {"mended", list(vm.done.mended)},
                                 {"problems", list(vm.done.problems)},
                                 {"skipped", vm.skipped}});
    printer.answer(json::python_line(all));
}

int run(cli::Call& call) {
    const auto name = name_or_all(call, "guard", "'guard --all --dry-run' shows what is missing");
    const Mode mode = call.arguments.has("dry-run") ? Mode::look : Mode::mend;
    World world = open_world(call, mode == Mode::look ? Intent::look : Intent::change);
    const auto names = names_of(call, world, name);
    std::vector<Guarded> vms(names.size());
    expiry::for_each_vm(
        world, names, jobs(call),
        [&](World& own, std::size_t i) { vms[i] = guard_one(own, VmName(names[i]), mode); },
        [](std::size_t) {});
    if (call.arguments.has("json"))
        print_json(call.printer, vms);
    else
        print_lines(call.printer, vms, mode);
    call.printer.flush_answer();
    return std::all_of(vms.begin(), vms.end(), [&](const Guarded& vm) { return is_well(vm, mode); }) ? 0 : 1;
}

constexpr std::string_view details =
    "A running VM needs an isolated port on its bridge, a network filter that pins it to its addresses, a "
    "port that "
    "lets no frame pass by that filter, permanent neighbour entries and, for IPv6, a route. A start sets all "
    "of it; "
    "a bridge that is made again, a tap that is moved, a table that is flushed takes some of it away. guard "
    "looks, "
    "and gives back what is missing. What it cannot give back (a bridge that is gone or down) it names, and "
    "exits "
    "with 1. A timer runs it each five minutes; start, resume, boot and gc do the same for their VMs.";

} // namespace

cli::Row guard_row() {
    return {
        .verb = "guard",
        .summary = "look whether running VMs are kept apart, and mend what is missing",
        .details = details,
        .operands = {{.name = "NAME",
                      .help = "the VM",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm}},
        .options = {{.name = "all", .help = "every VM that should run"},
                    {.name = "dry-run", .help = "only show what is missing; exit status 1 when something is"},
                    jobs_option(),
                    {.name = "json", .help = "print a JSON array"}},
        .output = {.text =
                       "one line for each thing that was mended, or is missing still; or 'All guards stand'",
                   .json_keys = {"name", "missing", "mended", "problems", "skipped"},
                   .json_call = "--json",
                   .unheard = "what was missing is given back all the same; a repeat finds it there"},
        .examples = {{"--all", "mend what is missing; the timer does this"},
                     {"--all --dry-run", "what is missing"},
                     {"web-001", "that VM's guards"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .run = run,
    };
}

} // namespace blockhost::subcommands
