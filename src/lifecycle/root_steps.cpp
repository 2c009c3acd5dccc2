/// The steps that the root agent's vm-step carries out for our own driver (hypervisor/rootagent/driver.hpp)
/// and network.

#include "lifecycle/root_steps.hpp"

#include "base/text.hpp"
#include "hypervisor/tuning_json.hpp"
#include "lifecycle/root_trust.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::root {

namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;

constexpr std::uint64_t gib = 1ull << 30;
constexpr std::int64_t longest_agent_answer = 5; // seconds: everybody else's actions wait meanwhile

struct StepCall {
    World& world;
    VmName name;
    std::string operation; ///< empty where the step belongs to none
    const bj::object& with;
};

std::string bridge_of(World& world, const VmName& name, const bj::object& with) {
    const std::string bridge = text_of(with, "bridge");
    if (bridge == world.config.bridge) return bridge;
    const auto seen = ours(world, name);
    if (seen && seen->facts.bridge == bridge) return bridge;
    throw Error(Code::invalid,
                fmt::format("{} is not the bridge of {}", text::printable(bridge, 40), name.str()));
}

bj::object told(const std::vector<std::string>& problems) {
    bj::array all;
    for (const std::string& problem : problems) all.emplace_back(problem);
    return {{"problems", all}};
}

/// The address in `with`; nothing for an empty text.
template<class Address>
std::optional<Address> address_of(const bj::object& with, std::string_view key) {
    const std::string text = text_of(with, key);
    const auto address = Address::try_parse(text);
    if (!address && !text.empty()) throw Error(Code::invalid, fmt::format("{} cannot be read", key));
    return address;
}

bj::object place(StepCall& call) {
    OwnAddresses wanted{address_of<Ipv4>(call.with, "ip"), address_of<Ipv6>(call.with, "ipv6")};
    const auto mac = address_of<Mac>(call.with, "mac");
    const std::string bridge = bridge_of(call.world, call.name, call.with);
    require_own(call.world, call.name, wanted);
    auto problems = take_out_unfit(call.world, call.name, wanted);
    if (!mac || !wanted.ip) return told(problems);
    for (const auto& problem : call.world.network->place(call.name, {bridge, *mac, *wanted.ip, wanted.ipv6}))
        problems.push_back(problem);
    return told(problems);
}

/// What the VM no longer has may go as well, as long as it is nobody else's.
bj::object unplace(StepCall& call) {
    OwnAddresses given{address_of<Ipv4>(call.with, "ip"), address_of<Ipv6>(call.with, "ipv6")};
    const std::string bridge = text_of(call.with, "bridge");
    if (!call.world.network->is_bridge(bridge)) return {};
    auto problems = take_out_unfit(call.world, call.name, given);
    const OwnAddresses own = still_own(call.world, call.world.registry.read(), call.name, given);
    for (const auto& problem : call.world.network->unplace(call.name, bridge, own.ip, own.ipv6))
        problems.push_back(problem);
    return told(problems);
}

bj::object create_volume(StepCall& call) {
    World& world = call.world;
    const auto entry = held_entry(world, call.name, Verb::create);
    const auto operation = OperationId::try_parse(call.operation);
    if (!entry || !operation || !operation->of(world.instance) || entry->operation != *operation)
        throw Error(Code::invalid, fmt::format("no create of {} is under way by that id", call.name.str()));
    const std::int64_t capacity = number_of(call.with, "capacity_bytes");
    if (capacity <= 0 || static_cast<std::uint64_t>(capacity) > limits::disk_max_gib * gib)
        throw Error(Code::invalid, "the disk's size is not one that a VM may have");
    const fs::path backing = text_of(call.with, "backing");
    const auto templates = open_ours(world, world.paths.templates);
    if (!templates || files::identity(backing.parent_path()) != files::identity(templates->path()))
        throw Error(Code::invalid, fmt::format("{} is no template", text::printable(backing.string(), 200)));
    require_plain(templates, backing, Absent::is_refused);
    require_templates_below(world, backing);
    open_ours(world, world.storage); // libvirt follows links
    world.hypervisor().ensure_pool(world.pool, world.storage.string());
    const auto made = world.hypervisor().create_volume(
        world.pool, render_volume(volume_name(call.name, *operation), static_cast<std::uint64_t>(capacity),
                                  backing.string()));
    return {{"path", made.path}};
}

/// A disk by its name alone, of the 0.2.0 provisioner, only for the destroy that is under way and has noted
/// it.
bj::object delete_volume(StepCall& call) {
    const std::string file = text_of(call.with, "file");
    const auto operation = operation_of_volume(call.name, file);
    bool ours = operation && operation->of(call.world.instance);
    if (!operation && file == call.name.str() + ".qcow2") {
        const auto entry = held_entry(call.world, call.name, Verb::destroy);
        const bj::value* disks = entry ? entry->parameters.if_contains("disks") : nullptr;
        ours = disks != nullptr && disks->is_array() &&
               std::ranges::find(disks->get_array(), bj::value(file)) != disks->get_array().end() &&
               call.world.registry.read().find(call.name);
    }
    if (!ours)
        throw Error(Code::invalid,
                    fmt::format("{} is no disk of {}", text::printable(file), call.name.str()));
    open_ours(call.world, call.world.storage); // libvirt follows links
    delete_disks(call.world, call.name, {file});
    return {};
}

bj::object unpause(StepCall& call) {
    existing(call.world, call.name);
    call.world.hypervisor().unpause(call.name.str());
    return {};
}

/// Only the mark that a domain of ours has, or one of the 0.2.0 provisioner's gets.
bj::object set_mark(StepCall& call) {
    existing(call.world, call.name);
    const auto mark = read_mark(text_of(call.with, "mark"));
    if (!mark || mark->instance != call.world.instance.str() ||
        mark->state_folder != call.world.paths.state.string())
        throw Error(Code::invalid, "that is no mark of this BlockHost");
    call.world.hypervisor().set_metadata(call.name.str(), render_mark(call.name, *mark));
    return {};
}

bj::object tune(StepCall& call) {
    existing(call.world, call.name);
    const auto subsystem = subsystem_named(text_of(call.with, "subsystem"));
    const std::string of = text_of(call.with, "of");
    const bj::value* limits = call.with.if_contains("limits");
    if (!subsystem || (of != "running" && of != "definition") || limits == nullptr || !limits->is_object())
        throw Error(Code::invalid, "the limits cannot be read");
    call.world.hypervisor().tune(call.name.str(), *subsystem, tuning_from(limits->get_object()),
                                 of == "running" ? TuningOf::running : TuningOf::definition);
    return {};
}

bj::object ask_agent(StepCall& call) {
    existing(call.world, call.name);
    const auto seconds = std::clamp<std::int64_t>(number_of(call.with, "seconds"), 1, longest_agent_answer);
    return {{"reply",
             call.world.hypervisor().agent(call.name.str(), text_of(call.with, "command"),
                                           static_cast<int>(seconds), std::chrono::seconds(seconds + 1))}};
}

struct Step {
    std::string_view name;
    bj::object (*run)(StepCall&);
};

constexpr std::array<Step, 8> steps{{
    {"place", place},
    {"unplace", unplace},
    {"create-volume", create_volume},
    {"delete-volume", delete_volume},
    {"unpause", unpause},
    {"set-mark", set_mark},
    {"tune", tune},
    {"ask-agent", ask_agent},
}};

} // namespace

bj::object carry_out_step(World& world, const bj::object& parameters) {
    const bj::value* with = parameters.if_contains("with");
    const bj::object nothing;
    StepCall call{world, name_of(text_of(parameters, "name")), text_of(parameters, "operation"),
                  with != nullptr && with->is_object() ? with->get_object() : nothing};
    const std::string name = text_of(parameters, "step");
    for (const Step& known : steps)
        if (known.name == name) return known.run(call);
    throw Error(Code::invalid, fmt::format("there is no step '{}'", text::printable(name, 80)));
}

} // namespace blockhost::root
