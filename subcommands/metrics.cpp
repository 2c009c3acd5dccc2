// SPDX-License-Identifier: MIT
/// metrics: prints what one VM uses, or all of them.

#include "base/text/json.hpp"
#include "hypervisor/open.hpp"
#include "metrics/compute.hpp"
#include "subcommands/metrics_text.hpp"
#include "subcommands/verbs.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::subcommands {

namespace {

std::optional<VmName> wanted(const cli::Call& call) {
    const auto name = name_or_all(call, "metrics", "'metrics --all --format json' shows every VM");
    if (name && call.arguments.has("format")) throw Error(Code::usage, "--format goes with --all");
    return name;
}

std::vector<VmName> recorded_names(const cli::Call& call) {
    std::vector<VmName> names;
    for (const VmRecord& record : readable_records(call))
        if (record.status != RecordStatus::destroyed) names.push_back(record.name);
    return names;
}

/// Warns once, however many samples could not be kept: rates then start anew at each call.
void warn_of_samples(cli::Printer& printer, const std::vector<metrics::Reading>& readings) {
    const auto problem = std::find_if(readings.begin(), readings.end(), [](const metrics::Reading& each) {
        return !each.sample_problem.empty();
    });
    if (problem != readings.end()) printer.warn("the sample is not kept: " + problem->sample_problem);
}

void print_all(cli::Printer& printer, const std::string& format,
               const std::vector<metrics::Reading>& readings) {
    if (format == "prometheus") return printer.answer_raw(prometheus_text(readings));
    boost::json::array rows;
    for (const metrics::Reading& reading : readings) rows.push_back(named_object(reading));
    if (format == "json") return printer.answer(json::python_line(rows));
    for (const auto& row : rows) printer.answer(json::python_line(row));
}

int run(cli::Call& call) {
    const auto name = wanted(call);
    const metrics::OpenObserver open = [&call] { return open_observer(call); };
    std::vector<metrics::Reading> readings;
    if (name) {
        readings.push_back(metrics::read_metrics(call.paths.metrics, open, *name));
        call.printer.answer(json::python_line(metrics_object(readings.front().metrics)));
    } else {
        readings = metrics::read_all_metrics(call.paths.metrics, open, recorded_names(call));
        print_all(call.printer, call.arguments.text("format").value_or("json"), readings);
    }
    call.printer.flush_answer();
    warn_of_samples(call.printer, readings);
    return 0;
}

constexpr std::string_view details =
    "Rates are since the last call, whoever made it; the first call shows zero. A guest whose agent does not "
    "answer within a second is shown without what only the guest knows (-1). A VM that is off is all "
    "zero.\n\n"
    "--all shows every VM of the database that is not destroyed, from one look at libvirt: as a JSON array, "
    "a "
    "JSON object a line (ndjson), or in Prometheus' text format.";

} // namespace

cli::Row metrics_row() {
    return {
        .verb = "metrics",
        .contract_name = "blockhost-vm-metrics",
        .summary = "print what a VM uses as one JSON object",
        .details = details,
        .operands = {{.name = "NAME",
                      .help = "the VM's name",
                      .count = cli::Operand::Count::optional,
                      .meaning = cli::Operand::Meaning::existing_vm}},
        .options = {{.name = "all", .help = "every VM of the database"},
                    {.name = "format",
                     .kind = cli::Option::Kind::choice,
                     .value = "FORMAT",
                     .default_text = "json",
                     .help = "how to print them all",
                     .choices = {"json", "ndjson", "prometheus"}}},
        .output = {.text = "one JSON object; with --all a list of them, or the format asked for",
                   .json_keys = {"cpu_percent", "cpu_count", "memory_used_mb", "memory_total_mb",
                                 "disk_used_mb", "disk_total_mb", "disk_read_iops", "disk_write_iops",
                                 "disk_read_bytes_sec", "disk_write_bytes_sec", "net_rx_bytes_sec",
                                 "net_tx_bytes_sec", "net_connections", "guest_agent_responsive",
                                 "uptime_seconds", "state", "state_reason"}},
        .examples = {{"web-001", "one VM"}, {"--all --format prometheus", "every VM, for a scraper"}},
        .needs = cli::Needs::observer,
        .effect = cli::Effect::reads,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[vm-metrics] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
