// SPDX-License-Identifier: MIT
/// The steps that the root agent's vm-step carries out for our own driver (hypervisor/rootagent/driver.hpp)
/// and network.

#include "rootside/steps.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/settings_json.hpp"
#include "hypervisor/tuning_json.hpp"
#include "operations/configure.hpp"
#include "operations/live_disk.hpp"
#include "safety/adopt.hpp"
#include "safety/isolation.hpp"
#include "safety/outside_text.hpp"
#include "safety/planted_files.hpp"
#include "vm/disk_chain.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::root {

namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;

constexpr std::uint64_t gib = 1ull << 30;
constexpr std::int64_t longest_agent_answer = 5; // seconds: all other actions wait meanwhile

struct StepCall {
    World& world;
    VmName name;
    std::string operation; ///< empty for a step outside of an operation
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

bj::array list_of(const std::vector<std::string>& lines) {
    return bj::array(lines.begin(), lines.end());
}

bj::object told(const std::vector<std::string>& problems) {
    return {{"problems", list_of(problems)}};
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
    const OwnAddresses wanted{address_of<Ipv4>(call.with, "ip"), address_of<Ipv6>(call.with, "ipv6")};
    const auto mac = address_of<Mac>(call.with, "mac");
    const std::string bridge = bridge_of(call.world, call.name, call.with);
    ours(call.world, call.name); // throws at a foreign domain; there may be none
    require_own(call.world, call.name, wanted);
    if (!mac) return told({});
    return told(call.world.network->place(call.name, {bridge, *mac, wanted.ip, wanted.ipv6}));
}

/// Addresses that the VM no longer has may go too, as long as nobody else has them.
bj::object unplace(StepCall& call) {
    const OwnAddresses given{address_of<Ipv4>(call.with, "ip"), address_of<Ipv6>(call.with, "ipv6")};
    const std::string bridge = text_of(call.with, "bridge");
    if (!call.world.network->is_bridge(bridge)) return {};
    const OwnAddresses own = still_own(call.world, call.world.registry.read(), call.name, given);
    return told(call.world.network->unplace(call.name, bridge, own.ip, own.ipv6));
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
    safety::require_template(world, backing);
    open_ours(world, world.storage); // libvirt follows links
    world.hypervisor().ensure_pool(world.pool, world.storage.string());
    const auto made = world.hypervisor().create_volume(
        world.pool,
        {volume_name(call.name, *operation), static_cast<std::uint64_t>(capacity), backing.string()});
    return {{"path", made.path}};
}

/// A disk of the 0.2.0 provisioner has no proof but its name: only the destroy that is under way and has
/// noted it may delete it.
bj::object delete_volume(StepCall& call) {
    const std::string file = text_of(call.with, "file");
    const DiskProof proof = disk_proof(call.world, call.name, file);
    bool ours = proof == DiskProof::ours;
    if (proof == DiskProof::old) {
        const auto entry = held_entry(call.world, call.name, Verb::destroy);
        const auto disks = entry ? json::strings_in(entry->parameters, "disks") : std::vector<std::string>();
        ours = std::ranges::find(disks, file) != disks.end() && call.world.registry.read().find(call.name);
    }
    if (!ours)
        throw Error(Code::invalid,
                    fmt::format("{} is no disk of {}", text::printable(file), call.name.str()));
    open_ours(call.world, call.world.storage); // libvirt follows links
    delete_disks(call.world, call.name, {file});
    return {};
}

/// Uses what the domain runs with, as libvirt has it: nothing of the request goes into the definition.
bj::object redefine(StepCall& call) {
    existing(call.world, call.name);
    call.world.hypervisor().redefine(call.name.str());
    return {};
}

bj::object unpause(StepCall& call) {
    existing(call.world, call.name);
    call.world.hypervisor().unpause(call.name.str());
    return {};
}

/// A mark is set once: when the domain is defined, or here in a domain of the 0.2.0 provisioner. Such a mark
/// says what the VM's record says, whatever the caller sent, except for the operation that sets it.
bj::object set_mark(StepCall& call) {
    const Observation seen = existing(call.world, call.name);
    const Claim claim(call.name.str(), seen.domain->uuid, read_mark(text_of(call.with, "mark")));
    const DomainMark* mark = claim.ours(call.world.instance);
    const auto operation = mark ? OperationId::try_parse(mark->operation) : std::nullopt;
    if (!operation || !operation->of(call.world.instance) || !call.world.paths.state.is(mark->state_folder))
        throw Error(Code::invalid,
                    fmt::format("that is no mark that this BlockHost gives {}", call.name.str()));
    if (seen.proof == Proof::adoptable) {
        safety::adopt_domain(call.world, seen, *operation);
        return {};
    }
    if (*mark != seen.mark.value())
        throw Error(Code::denied, fmt::format("{} has its mark, which is set once", call.name.str()),
                    "whose VM it is, and its addresses, were settled when it was made");
    return {};
}

bj::object guard(StepCall& call) {
    const safety::Mending done = safety::mend_guards(call.world, existing(call.world, call.name));
    return {{"mended", list_of(done.mended)}, {"problems", list_of(done.problems)}};
}

TuningOf side_of(const bj::object& with) {
    const std::string of = text_of(with, "of");
    if (of != "running" && of != "definition") throw Error(Code::invalid, "the parameter of cannot be read");
    return of == "running" ? TuningOf::running : TuningOf::definition;
}

/// Root finds out by itself what the interface lacks.
bj::object guard_interface(StepCall& call) {
    const Observation seen = believed(call.world, existing(call.world, call.name));
    const auto problems = safety::guard_interfaces(call.world, seen, side_of(call.with));
    if (!problems.empty()) throw Error(Code::hypervisor, problems.front());
    return {};
}

bj::object tune(StepCall& call) {
    existing(call.world, call.name);
    const auto subsystem = subsystem_named(text_of(call.with, "subsystem"));
    const bj::value* limits = call.with.if_contains("limits");
    if (!subsystem || limits == nullptr || !limits->is_object())
        throw Error(Code::invalid, "the limits cannot be read");
    call.world.hypervisor().tune(call.name.str(), *subsystem, tuning_from(limits->get_object()),
                                 side_of(call.with));
    return {};
}

void require_configuring(StepCall& call) {
    const auto entry = held_entry(call.world, call.name, Verb::configure);
    if (!entry || !entry->operation.of(call.world.instance))
        throw Error(Code::invalid, fmt::format("no configure of {} is under way", call.name.str()));
}

bj::object configure(StepCall& call) {
    existing(call.world, call.name);
    require_configuring(call);
    const DomainSettings settings = settings_from(json::object_in(call.with, "settings"));
    operations::require_fits_host(call.world, settings);
    call.world.hypervisor().configure(call.name.str(), settings);
    return {};
}

/// Root finds out by itself which file that is, and whose.
bj::object grow_disk(StepCall& call) {
    const Observation seen = existing(call.world, call.name);
    require_configuring(call);
    const std::int64_t capacity = number_of(call.with, "capacity_bytes");
    if (capacity <= 0 || static_cast<std::uint64_t>(capacity) > limits::disk_max_gib * gib)
        throw Error(Code::invalid, "the disk's size is not one that a VM may have");
    const fs::path disk = operations::first_disk(call.world, seen);
    require_plain(open_ours(call.world, call.world.storage), disk, Absent::is_refused);
    call.world.hypervisor().grow_disk(call.name.str(), disk.string(), static_cast<std::uint64_t>(capacity));
    return {};
}

bj::object end_backup(StepCall& call) {
    existing(call.world, call.name);
    operations::end_backup_job(call.world, call.name);
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

constexpr std::array<Step, 14> steps{{
    {"place", place},
    {"unplace", unplace},
    {"create-volume", create_volume},
    {"delete-volume", delete_volume},
    {"redefine", redefine},
    {"unpause", unpause},
    {"set-mark", set_mark},
    {"guard", guard},
    {"guard-interface", guard_interface},
    {"tune", tune},
    {"configure", configure},
    {"grow-disk", grow_disk},
    {"ask-agent", ask_agent},
    {"end-backup", end_backup},
}};

} // namespace

bj::object carry_out_step(World& world, const bj::object& parameters) {
    StepCall call{world, name_of(text_of(parameters, "name")), text_of(parameters, "operation"),
                  json::object_in(parameters, "with")};
    const std::string name = text_of(parameters, "step");
    for (const Step& known : steps)
        if (known.name == name) return known.run(call);
    throw Error(Code::invalid, fmt::format("there is no step '{}'", text::printable(name, 80)));
}

} // namespace blockhost::root
