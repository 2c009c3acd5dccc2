// SPDX-License-Identifier: MIT
/// detect: tells by exit status whether the libvirt driver could work here; explains it when asked to.

#include "setup/detect.hpp"

#include "base/text/json.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

void print_json(cli::Printer& printer, const std::vector<setup::Finding>& findings, bool works) {
    boost::json::array all;
    for (const setup::Finding& each : findings)
        all.push_back(boost::json::object{
            {"finding", each.what}, {"ok", each.ok}, {"found", each.found}, {"advice", each.advice}});
    printer.answer(json::python_line(boost::json::object{{"works", works}, {"findings", std::move(all)}}));
}

void print_lines(cli::Printer& printer, const std::vector<setup::Finding>& findings) {
    for (const setup::Finding& each : findings)
        printer.answer(fmt::format("{:<8}{}: {}{}{}", each.ok ? "ok" : "missing", each.what, each.found,
                                   each.advice.empty() ? "" : "; ", each.advice));
}

int run(cli::Call& call) {
    const Reality reality = call.mock ? Reality::simulated : Reality::real;
    auto findings = setup::look_for_driver(reality);
    const bool works = setup::all_ok(findings);
    const bool as_json = call.arguments.has("json");
    if (as_json || call.arguments.has("explain")) {
        const auto more = setup::look_at_host(call.paths, reality, works);
        findings.insert(findings.end(), more.begin(), more.end());
        if (as_json)
            print_json(call.printer, findings, works);
        else
            print_lines(call.printer, findings);
        call.printer.flush_answer();
    }
    return works ? 0 : 1;
}

constexpr std::string_view details =
    "Exits with 0 when the libvirt driver could work: its module, libvirt's client libraries and a daemon's "
    "socket are there. Nothing is printed, nothing loaded, nobody connected to. With --explain, one line for "
    "each thing that VMs need on this host says whether it is there and what to do; the exit status stays "
    "about the driver alone.";

} // namespace

cli::Row detect_row() {
    return {
        .verb = "detect",
        .contract_name = "blockhost-provisioner-detect",
        .summary = "tell by exit status whether libvirt could be used here",
        .details = details,
        .options = {{.name = "explain", .help = "say what was found and what to do"},
                    {.name = "json", .help = "explain in a JSON object"}},
        .output = {.text = "nothing; with --explain a line for each thing that VMs need",
                   .json_keys = {"works", "findings"},
                   .json_call = "--json"},
        .examples = {{"", "tell by the exit status alone"},
                     {"--explain", "say what is missing, and what to do"}},
        .needs = cli::Needs::nothing,
        .effect = cli::Effect::reads,
        .exit = cli::Row::Exit::contract,
        .run = run,
    };
}

} // namespace blockhost::subcommands
