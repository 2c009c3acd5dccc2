/// The table of verbs, in the order help shows them. A new verb is one line here and one file beside.

#include "base/text.hpp"
#include "hypervisor/load.hpp"
#include "lifecycle/limit_file.hpp"
#include "lifecycle/throttle.hpp"
#include "subcommands/verbs.hpp"

#include <unistd.h>
#include <vector>

namespace blockhost {

std::span<const cli::Row> cli::rows() {
    using namespace subcommands;
    static const std::vector<Row> table{
        create_row(),         destroy_row(),    start_row(),        stop_row(),
        kill_row(),           status_row(),     list_row(),         metrics_row(),
        throttle_row(),       guest_exec_row(), update_gecos_row(), gc_row(),
        resume_row(),         extend_row(),     boot_row(),         recover_row(),
        build_template_row(), templates_row(),  setup_row(),        mint_nft_row(),
        detect_row(),         version_row(),    help_row(),         dump_row(),
        root_action_row(),    vms_row(),
    };
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
    const DbConfig config = read_db_config(call.paths); // also for a mock: it is wrong there too
    return Registry(call.mock ? mock_database(call.paths) : config.db_file);
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

/// Every verb that changes something first takes back the limits whose time is over, if any are remembered.
World open_world(const cli::Call& call, Intent intent) {
    const Reality reality = call.mock ? Reality::simulated : Reality::real;
    if (intent == Intent::change && !LimitFile::names(call.paths.journal).empty()) {
        World due(call.paths, reality, intent, call.printer);
        end_due_limits(due);
    }
    return World(call.paths, reality, intent, call.printer);
}

void require_ours(const cli::Call& call, Observer& hypervisor, const VmName& name) {
    const auto view = hypervisor.find(name.str());
    if (!view) return;
    const DomainFacts facts = read_domain(view->xml);
    const auto instance = existing_instance_id(call.paths);
    if (facts.mark && instance && facts.mark->instance == instance->str()) return;
    const World world(call.paths, call.mock ? Reality::simulated : Reality::real, Intent::look, call.printer);
    if (proof_of(world, name, world.registry.read().find(name), facts) != Proof::none) return;
    throw Error(Code::foreign, name.str() + " is a domain that this BlockHost did not make",
                "its guest is somebody else's; 'blockhost-libvirt list' shows the VMs of this one");
}

std::unique_ptr<Hypervisor> open_observer(const cli::Call& call) {
    return call.mock ? open_simulated(call.paths.world) : open_hypervisor(call.paths, Access::read);
}

std::unique_ptr<Hypervisor> open_for_agent(const cli::Call& call) {
    // callers wait for a guest, not for a daemon that sleeps behind socket activation
    constexpr std::chrono::seconds longest(10);
    if (call.mock) return open_simulated(call.paths.world);
    return open_hypervisor(call.paths, Access::write, longest);
}

} // namespace subcommands
} // namespace blockhost
