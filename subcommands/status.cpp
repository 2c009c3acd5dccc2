// SPDX-License-Identifier: MIT
/// status: prints one of four words, or what stands behind it; always exits with 0.

#include "base/exceptions.hpp"
#include "base/text/json.hpp"
#include "hypervisor/open.hpp"
#include "operations/bring_up.hpp"
#include "subcommands/verbs.hpp"
#include "vm/renamed.hpp"

#include <algorithm>
#include <boost/json/object.hpp>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

constexpr std::string_view unknown = "unknown";
constexpr std::string_view absent = "absent";
constexpr std::chrono::milliseconds disk_look(2000);

bj::object described(std::string_view status, std::string_view state, std::string_view why, bj::value defined,
                     std::string_view error = "") {
    return {{"status", status},
            {"state", state},
            {"reason", why},
            {"defined", std::move(defined)},
            {"error", error}};
}

/// Throws Error{foreign} when the domain was renamed: then neither name tells a state.
void require_not_renamed(Observer& hypervisor, const Paths& paths, const VmName& name) {
    const auto names = renamed_domains_if_known(hypervisor, paths);
    if (const auto found = names.find(name.str()); found != names.end())
        throw renamed(name.str(), found->second);
}

/// The one word, asked for as cheaply as possible.
std::string word_for(Observer& hypervisor, const Paths& paths, const VmName& name) {
    const auto state = hypervisor.state(name.str());
    if (!state) require_not_renamed(hypervisor, paths, name);
    return std::string(contract_status(state));
}

bj::object description_of(Observer& hypervisor, const Paths& paths, const VmName& name) {
    const auto view = hypervisor.find(name.str());
    if (!view) require_not_renamed(hypervisor, paths, name);
    if (!view) return described(contract_status(std::nullopt), absent, "", false);
    const std::string why =
        operations::reason_of(hypervisor, name.str(), {view->state, view->reason}, disk_look);
    return described(contract_status(view->state), to_string(view->state), why, view->persistent);
}

/// libvirt's "no such domain" is destroyed; anything that prevents asking is unknown.
void print_word(const cli::Call& call) {
    try {
        const VmName name = vm_name(call);
        call.printer.answer(word_for(*open_observer(call), call.paths, name));
    } catch (const Error& error) {
        call.printer.error(error);
        call.printer.answer(unknown);
    }
}

void print_description(const cli::Call& call) {
    bj::object all{{"name", call.arguments.operands().front()}};
    try {
        const VmName name = vm_name(call);
        all.insert_or_assign("name", name.str());
        for (auto& member : description_of(*open_observer(call), call.paths, name))
            all[member.key()] = member.value();
    } catch (const Error& error) {
        call.printer.error(error);
        for (auto& member : described(unknown, unknown, "", nullptr, error.message()))
            all[member.key()] = member.value();
    }
    call.printer.answer(json::python_line(all));
}

int run(cli::Call& call) {
    const auto print = call.arguments.has("json") ? print_description : print_word;
    try {
        print(call);
    } catch (const std::exception& error) {
        call.printer.error(as_error(error));
        call.printer.answer(unknown);
    }
    call.printer.flush_answer();
    return 0;
}

int answer_anyway(cli::Printer& printer, std::span<const std::string> words) {
    if (std::ranges::find(words, "--json") != words.end())
        printer.answer(json::python_line(described(unknown, unknown, "", nullptr, "the call was wrong")));
    else
        printer.answer(unknown);
    printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "active: it runs. suspended: it is off or paused. destroyed: libvirt "
    "has no such domain. unknown: libvirt could not "
    "be asked, has the VM under another name, or the name is no VM name; the reason is on stderr.\n\n"
    "--json says what stands behind that word: state (running, stopping, paused, off, "
    "crashed, absent, unknown) and reason as libvirt gives them (\"I/O error (no space left "
    "for vda)\"), and whether the domain has a definition: one that has none is gone "
    "when it goes off, unless it goes off by stop or kill, which define it again.";

} // namespace

cli::Row status_row() {
    return {
        .verb = "status",
        .contract_name = "blockhost-vm-status",
        .summary = "print active, suspended, destroyed or unknown",
        .details = details,
        .operands = {vm_operand()},
        .options = {{.name = "json", .help = "say state, reason and definition in a JSON object"}},
        .output = {.text = "one word: active, suspended, destroyed or unknown",
                   .json_keys = {"name", "status", "state", "reason", "defined", "error"},
                   .json_call = "--json"},
        .examples = {{"web-001", "what libvirt says of it"}, {"web-001 --json", "with libvirt's reason"}},
        .needs = cli::Needs::observer,
        .effect = cli::Effect::reads,
        .usage_status = 0,
        .exit = cli::Row::Exit::contract,
        .run = run,
        .on_usage_error = answer_anyway,
    };
}

} // namespace blockhost::subcommands
