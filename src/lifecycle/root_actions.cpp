/// See root_actions.hpp.

#include "lifecycle/root_actions.hpp"

#include "base/boot_clock.hpp"
#include "base/root_agent.hpp"
#include "base/text.hpp"
#include "guest/cloud_init.hpp"
#include "lifecycle/agent_line.hpp"
#include "lifecycle/root_steps.hpp"
#include "lifecycle/root_trust.hpp"
#include "lifecycle/starting.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
using namespace root;
namespace bj = boost::json;
namespace fs = std::filesystem;

constexpr auto longest_guest_command = 120s;
constexpr std::ptrdiff_t longest_command_text = 4000; // characters, as the action's other callers know it
constexpr std::size_t largest_definition = 1u << 20;

bj::object said(std::string words) {
    return {{"output", std::move(words)}};
}

bj::object start(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const Observation seen = existing(world, name);
    require_planted_nothing(world, name, seen.facts);
    ensure_filters(world, seen);
    world.hypervisor().start(name.str());
    guard_port(world, seen);
    return said(fmt::format("Domain '{}' started", name.str()));
}

bj::object power_off(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    if (ours(world, name)) world.hypervisor().power_off(name.str());
    return said(fmt::format("Domain '{}' destroyed", name.str()));
}

bj::object shut_down(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    existing(world, name);
    world.hypervisor().shutdown(name.str());
    return said(fmt::format("Domain '{}' is being shutdown", name.str()));
}

/// The file of a definition, below our state folder.
std::string read_definition(const World& world, const fs::path& path) {
    const std::string shown = text::printable(path.string(), 200);
    const fs::path relative = path.lexically_relative(world.paths.state);
    if (!path.is_absolute() || relative.empty() || *relative.begin() == ".." || !path.has_filename())
        throw Error(Code::invalid, fmt::format("{} is not below {}", shown, world.paths.state.string()));
    const auto folder = open_ours(world, path.parent_path());
    const auto text = folder ? folder->read(path.filename().string(), largest_definition) : std::nullopt;
    if (!text) throw Error(Code::not_found, fmt::format("there is no file {}", shown));
    return *text;
}

/// That a create of ours, which is under way, would define exactly this.
void require_our_definition(World& world, const DomainSpec& spec) {
    const auto refuse_unless = [](bool holds, std::string_view what) {
        if (!holds)
            throw Error(Code::denied, fmt::format("the definition's {} is not what ours would be", what));
    };
    const Paths& paths = world.paths;
    const auto kind = spec.ipv6 ? FilterKind::ipv4_and_ipv6 : FilterKind::ipv4;
    refuse_unless(spec.instance == world.instance && spec.operation.of(world.instance), "instance");
    refuse_unless(spec.state_folder == paths.state.string(), "state folder");
    refuse_unless(spec.disk_path == (world.storage / volume_name(spec.name, spec.operation)).string(),
                  "disk");
    refuse_unless(spec.seed_path == guest::seed_path(paths.cloud_init, spec.name).string(), "seed");
    refuse_unless(spec.console_path == (paths.consoles / (spec.name.str() + ".log")).string(), "console log");
    refuse_unless(spec.bridge == world.config.bridge, "bridge");
    refuse_unless(spec.filter == filter_name(kind, paths.is_default_root, world.instance), "network filter");
    refuse_unless(spec.kernel == world.config.boot_kernel && spec.initrd == world.config.boot_initrd &&
                      spec.kernel_arguments == world.config.boot_arguments,
                  "kernel");
    refuse_unless(spec.cpus >= limits::cpus_min && spec.cpus <= limits::cpus_max &&
                      spec.memory_mib >= limits::memory_min_mib &&
                      static_cast<std::uint64_t>(spec.memory_mib) <= world.hypervisor().host().memory_mib,
                  "size");
    const auto entry = held_entry(world, spec.name, Verb::create);
    refuse_unless(entry && entry->operation == spec.operation, "operation");
    OwnAddresses addresses{spec.ip, spec.ipv6};
    require_own(world, spec.name, addresses);
    refuse_unless(take_out_unfit(world, spec.name, addresses).empty(), "address");
    const auto there = ours(world, spec.name);
    refuse_unless(!there || (there->facts.mark && there->facts.mark->operation == spec.operation.str() &&
                             there->domain->uuid == spec.uuid.str()),
                  "name");
}

bj::object define(World& world, const bj::object& parameters) {
    const std::string xml = read_definition(world, text_of(parameters, "xml_path"));
    const auto spec = spec_of(xml);
    if (!spec)
        throw Error(Code::denied, "the definition is not one that blockhost-libvirt renders",
                    "root defines other domains with virsh itself");
    require_our_definition(world, *spec);
    require_planted_nothing(world, spec->name, read_domain(xml));
    const auto kind = spec->ipv6 ? FilterKind::ipv4_and_ipv6 : FilterKind::ipv4;
    world.hypervisor().ensure_filter(spec->filter, render_filter(kind, spec->filter));
    world.hypervisor().define(xml);
    return said(fmt::format("Domain '{}' defined", spec->name.str()));
}

bj::object undefine(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const bj::value* with_storage = parameters.if_contains("remove_storage");
    const auto seen = ours(world, name);
    if (!seen) return said(fmt::format("Domain '{}' is not defined", name.str()));
    if (is_alive(seen->domain->state))
        throw Error(Code::wrong_state, fmt::format("{} runs; it is not undefined", name.str()),
                    "force it off first");
    const bool remove = with_storage != nullptr && with_storage->is_bool() && with_storage->get_bool();
    const auto disks = remove ? disks_of(world, *seen) : std::vector<std::string>{};
    world.hypervisor().undefine(name.str());
    delete_disks(world, name, disks);
    return said(fmt::format("Domain '{}' has been undefined", name.str()));
}

bj::object run_in_guest(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const std::string command = text_of(parameters, "command");
    const auto characters = std::ranges::count_if(command, [](char c) { return (c & 0xc0) != 0x80; });
    if (command.empty() || characters > longest_command_text)
        throw Error(Code::invalid,
                    fmt::format("the command is empty or longer than {}", longest_command_text));
    existing(world, name);
    const AgentLine line(world.hypervisor(), name, Deadline::in(longest_guest_command));
    line.greet();
    const guest::Outcome outcome = guest::shell(line.call(), command, line.left(), line.waiting());
    return {{"exitcode", outcome.status()}, {"stdout", outcome.out}, {"stderr", outcome.err}};
}

struct Action {
    std::string_view name;
    bj::object (*run)(World&, const bj::object&);
};

constexpr std::array<Action, 7> actions{{
    {"virsh-start", start},
    {"virsh-destroy", power_off},
    {"virsh-shutdown", shut_down},
    {"virsh-define", define},
    {"virsh-undefine", undefine},
    {"virsh-guest-exec", run_in_guest},
    {"vm-step", carry_out_step},
}};

} // namespace

bj::object carry_out(World& world, std::string_view action, const bj::object& parameters) {
    if (const bj::value* end = parameters.if_contains(root_action_end);
        end != nullptr && end->is_int64() && moment_now().since_boot.count() > end->get_int64())
        throw Error(Code::no_answer, "the root agent was too busy: whoever asked has given up");
    for (const Action& known : actions)
        if (known.name == action) return known.run(world, parameters);
    throw Error(Code::invalid, fmt::format("there is no action '{}'", text::printable(action, 80)));
}

} // namespace blockhost
