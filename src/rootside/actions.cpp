// SPDX-License-Identifier: MIT
/// See actions.hpp.

#include "rootside/actions.hpp"

#include "base/boot_clock.hpp"
#include "base/root_agent.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/text/utf8.hpp"
#include "guest/cloud_init.hpp"
#include "operations/bring_up.hpp"
#include "rootside/steps.hpp"
#include "safety/isolation.hpp"
#include "safety/outside_text.hpp"
#include "safety/planted_files.hpp"
#include "safety/start.hpp"
#include "vm/disk_chain.hpp"
#include "vm/guest_line.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace blockhost::root {

namespace {

using namespace std::chrono_literals;
using namespace root;
namespace bj = boost::json;
namespace fs = std::filesystem;

constexpr auto longest_guest_command = 120s;
constexpr std::size_t longest_command_text = 4000; // characters, as the action's other callers know it
constexpr std::size_t largest_definition = 1u << 20;

bj::object said(std::string words) {
    return {{"output", std::move(words)}};
}

bj::object start(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const Observation seen = believed(world, existing(world, name));
    safety::guard_definition(world, seen);
    safety::start_domain(world, name);
    safety::guard_running(world, seen);
    return said(fmt::format("Domain '{}' started", name.str()));
}

bj::object power_off(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    if (const auto seen = ours(world, name)) {
        operations::keep_definition(world, *seen);
        world.hypervisor().power_off(name.str());
    }
    return said(fmt::format("Domain '{}' destroyed", name.str()));
}

bj::object shut_down(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    operations::keep_definition(world, existing(world, name));
    world.hypervisor().shutdown(name.str());
    return said(fmt::format("Domain '{}' is being shutdown", name.str()));
}

/// The text of a definition, from a file below the state folder.
std::string read_definition(const World& world, const fs::path& path) {
    const std::string shown = text::printable(path.string(), 200);
    const fs::path relative = path.lexically_relative(world.paths.state.string());
    if (!path.is_absolute() || relative.empty() || *relative.begin() == ".." || !path.has_filename())
        throw Error(Code::invalid, fmt::format("{} is not below {}", shown, world.paths.state.string()));
    const auto folder = open_ours(world, path.parent_path());
    const auto text = folder ? folder->read(path.filename().string(), largest_definition) : std::nullopt;
    if (!text) throw Error(Code::not_found, fmt::format("there is no file {}", shown));
    return *text;
}

/// Checks that a create of this instance, which is under way, would define exactly this.
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
    refuse_unless(spec.console_path == paths.consoles.string(spec.name.str() + ".log"), "console log");
    refuse_unless(spec.bridge == world.config.bridge, "bridge");
    refuse_unless(spec.mtu == world.network->unusual_mtu(spec.bridge), "MTU"); // a port has its bridge's
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
    require_own(world, spec.name, {spec.ip, spec.ipv6});
    refuse_unless(!world.network->unfit(spec.ip) && !(spec.ipv6 && world.network->unfit(*spec.ipv6)),
                  "address");
    const auto there = ours(world, spec.name);
    const auto mark = there ? there->mark : std::nullopt;
    refuse_unless(
        !there || (mark && mark->operation == spec.operation.str() && there->domain->uuid == spec.uuid.str()),
        "name");
    refuse_unless(!mark || *mark == mark_of(spec), "mark");
}

bj::object define(World& world, const bj::object& parameters) {
    const std::string xml = read_definition(world, text_of(parameters, "xml_path"));
    const auto spec = spec_of(xml);
    if (!spec)
        throw Error(Code::denied, "the definition is not one that blockhost-libvirt renders",
                    "root defines other domains with virsh itself");
    require_our_definition(world, *spec);
    safety::require_nothing_planted(world, xml);
    const auto kind = spec->ipv6 ? FilterKind::ipv4_and_ipv6 : FilterKind::ipv4;
    world.hypervisor().ensure_filter({kind, spec->filter});
    world.hypervisor().define(*spec);
    return said(fmt::format("Domain '{}' defined", spec->name.str()));
}

bj::object undefine(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const auto seen = ours(world, name);
    if (!seen) return said(fmt::format("Domain '{}' is not defined", name.str()));
    if (is_alive(seen->domain->state))
        throw Error(Code::wrong_state, fmt::format("{} runs; it is not undefined", name.str()),
                    "force it off first");
    const bool remove = json::is_true(parameters, "remove_storage");
    const auto disks = remove ? disks_of(world, *seen) : std::vector<std::string>{};
    require_unused(world, name, disks, name);
    world.hypervisor().undefine(name.str());
    delete_disks(world, name, disks);
    return said(fmt::format("Domain '{}' has been undefined", name.str()));
}

bj::object run_in_guest(World& world, const bj::object& parameters) {
    const VmName name = name_of(text_of(parameters, "domain"));
    const std::string command = text_of(parameters, "command");
    if (command.empty() || text::characters(command) > longest_command_text)
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

std::optional<Deadline> end_of(const bj::object& parameters) {
    const auto end = json::integer_in(parameters, root_action_end);
    if (!end) return std::nullopt;
    const std::int64_t now = moment_now().since_boot.count();
    constexpr std::int64_t longest =
        std::chrono::milliseconds(24h).count(); // a caller's figure is outside text
    return Deadline::in(std::chrono::milliseconds(std::clamp(*end, now, now + longest) - now));
}

bj::object carry_out(World& world, std::string_view action, const bj::object& parameters) {
    if (const auto end = json::integer_in(parameters, root_action_end);
        end && moment_now().since_boot.count() > *end)
        throw Error(Code::no_answer, "the root agent was too busy: whoever asked has given up");
    for (const Action& known : actions)
        if (known.name == action) return known.run(world, parameters);
    throw Error(Code::invalid, fmt::format("there is no action '{}'", text::printable(action, 80)));
}

} // namespace blockhost::root
