// SPDX-License-Identifier: MIT
/// The table of verbs, as meson.build lists them: BLOCKHOST_VERBS(verb) is verb(create) verb(destroy) …

#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "hypervisor/open.hpp"
#include "limits/limit_file.hpp"
#include "limits/throttle.hpp"
#include "subcommands/verb_list.hpp" // made by meson.build
#include "subcommands/verbs.hpp"
#include "vm/observation.hpp"

#include <unistd.h>
#include <vector>

namespace blockhost {

#define BLOCKHOST_DECLARE(verb) cli::Row verb##_row();
namespace subcommands {
BLOCKHOST_VERBS(BLOCKHOST_DECLARE)
}

std::span<const cli::Row> cli::rows() {
    using namespace subcommands;
#define BLOCKHOST_ROW(verb) verb##_row(),
    static const std::vector<Row> table{BLOCKHOST_VERBS(BLOCKHOST_ROW)};
    return table;
}

namespace subcommands {

namespace {

constexpr std::string_view default_jobs = "4";

} // namespace

cli::Operand vm_operand(cli::Operand::Fits fits) {
    return {
        .name = "NAME", .help = "the VM's name", .meaning = cli::Operand::Meaning::existing_vm, .fits = fits};
}

cli::Row power_row(std::string_view verb, std::string_view contract_name) {
    return {.verb = verb,
            .contract_name = contract_name,
            .operands = {vm_operand()},
            .needs = cli::Needs::hypervisor,
            .effect = cli::Effect::changes,
            .exit = cli::Row::Exit::contract};
}

VmName vm_name(const cli::Call& call) {
    return VmName(call.arguments.operands().front());
}

cli::Option jobs_option() {
    return {.name = "jobs",
            .kind = cli::Option::Kind::integer,
            .value = "N",
            .default_text = default_jobs,
            .min = 1,
            .max = 32,
            .help = "how many VMs at a time"};
}

unsigned jobs(const cli::Call& call) {
    return static_cast<unsigned>(call.arguments.integer("jobs").value_or(*text::parse_int(default_jobs)));
}

std::optional<VmName> name_or_all(const cli::Call& call, std::string_view verb, std::string_view hint) {
    const bool all = call.arguments.has("all");
    const bool named = !call.arguments.operands().empty();
    if (all == named)
        throw Error(Code::usage,
                    std::string(verb) + (all ? " takes a NAME or --all, not both" : " needs a NAME or --all"),
                    std::string(hint));
    return named ? std::optional(vm_name(call)) : std::nullopt;
}

Registry registry_of(const cli::Call& call) {
    const DbConfig config = read_db_config(call.paths); // also for a mock: a wrong file is wrong there too
    if (!call.mock) require_database_folder(config, call.paths);
    return Registry(call.mock ? mock_database(call.paths) : config.db_file, {}, call.paths.state);
}

std::vector<VmRecord> readable_records(const cli::Call& call) {
    return readable_records(call, registry_of(call));
}

std::vector<VmRecord> readable_records(const cli::Call& call, const Registry& registry) {
    std::vector<std::string> bad;
    auto records = registry.read().records(&bad);
    if (!bad.empty())
        call.printer.warn("left out: " + std::to_string(bad.size()) +
                          " unreadable record(s), the first is '" + bad.front() + "'");
    return records;
}

void require_root(std::string_view what) {
    if (geteuid() != 0) throw Error(Code::denied, std::string(what) + " needs root", "run it with sudo");
}

/// A verb that changes something first takes back the limits whose time is over, if any are noted.
World open_world_until(const cli::Call& call, Intent intent, std::optional<Deadline> end,
                       std::optional<Deadline> end_of_limits) {
    const Reality reality = call.mock ? Reality::simulated : Reality::real;
    if (intent == Intent::change && !limits::LimitFile::names(call.paths.journal).empty()) {
        World due(call.paths, reality, intent, call.printer, end_of_limits);
        limits::end_due_limits(due);
    }
    return World(call.paths, reality, intent, call.printer, end);
}

World open_world(const cli::Call& call, Intent intent) {
    return open_world_until(call, intent, {}, {});
}

World open_world_of_panel(const cli::Call& call) {
    constexpr std::chrono::seconds in_all(40), for_limits(10);
    return open_world_until(call, Intent::change, Deadline::in(in_all), Deadline::in(for_limits));
}

void require_ours(const cli::Call& call, Observer& hypervisor, const VmName& name) {
    const auto view = hypervisor.find(name.str());
    if (!view) return;
    const DomainFacts facts = read_domain(view->xml);
    const auto instance = existing_instance_id(call.paths);
    if (instance && facts.claim.ours(*instance)) return;
    const World world(call.paths, call.mock ? Reality::simulated : Reality::real, Intent::look, call.printer);
    if (proof_of(world, name, world.registry.read().find(name), facts) != Proof::none) return;
    throw Error(Code::foreign, name.str() + " is " + facts.claim.words(world.instance),
                "its guest is somebody else's; 'blockhost-libvirt list' shows the VMs of this one");
}

std::unique_ptr<Hypervisor> open_observer(const cli::Call& call) {
    return call.mock ? open_simulated(call.paths.world) : open_hypervisor(call.paths, Access::read);
}

std::unique_ptr<Hypervisor> open_for_agent(const cli::Call& call) {
    // callers wait for a guest, not for a daemon that socket activation has yet to start
    constexpr std::chrono::seconds longest(10);
    if (call.mock) return open_simulated(call.paths.world);
    return open_hypervisor(call.paths, Access::write, longest);
}

} // namespace subcommands
} // namespace blockhost
