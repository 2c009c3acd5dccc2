// SPDX-License-Identifier: MIT
/// guests: every guest as the platform sees it.

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/columns.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using platform::Guest;
using platform::GuestConfig;

bj::value shown(const std::optional<GuestConfig>& config) {
    if (!config) return nullptr;
    bj::object details;
    for (const auto& [key, value] : config->details) details[key] = value;
    bj::object all{{"name", config->name}};
    if (config->cpus) all["cpus"] = *config->cpus;
    if (config->memory_mib) all["memory_mib"] = *config->memory_mib;
    if (config->disk_mib) all["disk_mib"] = *config->disk_mib;
    if (!config->description.empty()) all["description"] = config->description;
    if (!config->tags.empty()) all["tags"] = bj::array(config->tags.begin(), config->tags.end());
    if (config->start_on_boot) all["start_on_boot"] = true;
    if (config->is_protected) all["is_protected"] = true;
    if (!details.empty()) all["details"] = std::move(details);
    return all;
}

bj::object shown(const Guest& guest) {
    return {{"id", guest.id},
            {"kind", to_string(guest.kind)},
            {"power", to_string(guest.power)},
            {"name", guest.name},
            {"incarnation", guest.incarnation},
            {"config", shown(guest.config)},
            {"partial", guest.is_partial},
            {"running", shown(guest.running)},
            {"digest", guest.digest},
            {"lock", guest.lock},
            {"unreadable", guest.unreadable}};
}

std::vector<std::string> row_of(const Guest& guest) {
    const auto number = [](const auto& value) { return value ? std::to_string(*value) : std::string("-"); };
    const GuestConfig none, &config = guest.config ? *guest.config : none;
    return {guest.id,
            std::string(to_string(guest.kind)),
            std::string(to_string(guest.power)),
            number(config.cpus),
            number(config.memory_mib),
            guest.name.empty() ? "-" : text::printable(guest.name),
            text::printable(guest.unreadable.empty() ? guest.lock : guest.unreadable)};
}

void print_table(cli::Printer& printer, const std::vector<Guest>& guests) {
    std::vector<std::vector<std::string>> rows{{"ID", "KIND", "POWER", "CPUS", "MIB", "NAME", "NOTE"}};
    for (const Guest& guest : guests) rows.push_back(row_of(guest));
    print_columns(printer, rows);
}

int run(cli::Call& call) {
    const auto platform = open_platform(call);
    platform::Guests guests;
    if (call.arguments.operands().empty()) {
        guests = platform->guests();
    } else {
        const std::string& id = call.arguments.operands().front();
        auto guest = platform->guest(id);
        if (!guest) throw Error(Code::not_found, "there is no guest " + text::printable(id));
        guests.seen.push_back(std::move(*guest));
    }
    if (!guests.doubt.empty()) call.printer.warn("more guests may exist: " + guests.doubt);
    if (call.arguments.has("json")) {
        bj::array all;
        for (const Guest& guest : guests.seen) all.push_back(shown(guest));
        call.printer.answer(
            json::python_line(bj::object{{"guests", std::move(all)}, {"doubt", guests.doubt}}));
    } else {
        print_table(call.printer, guests.seen);
    }
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "VMs of this instance under libvirt, VMs and containers of a Proxmox node. The list is one look; what "
    "the platform does not tell in a list (descriptions, incarnations of a Proxmox node's guests) is there "
    "when one ID is named: \"partial\" says so in JSON. A guest that cannot be read is listed with the "
    "reason. A warning, in JSON \"doubt\", says why more guests may exist than are seen.\n\n"
    "Configurations are in normal form: two that mean the same are equal. With ID, \"running\" is what the "
    "guest has now, where that is not yet what its configuration says.";

} // namespace

cli::Row guests_row() {
    return {.verb = "guests",
            .summary = "show every guest as the platform sees it",
            .details = details,
            .operands = {{.name = "ID",
                          .help = "one guest alone, in full",
                          .count = cli::Operand::Count::optional}},
            .options = {{.name = "json", .help = "print one JSON document"}},
            .output = {.text = "a table with a row for each guest",
                       .json_keys = {"guests", "doubt"},
                       .json_call = "--json"},
            .examples = {{"", "look at all"}, {"web-001 --json", "one guest with all that is known of it"}},
            .needs = cli::Needs::config,
            .run = run};
}

} // namespace blockhost::subcommands
