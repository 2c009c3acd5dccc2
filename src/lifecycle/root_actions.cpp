/// See root_actions.hpp.

#include "lifecycle/root_actions.hpp"

#include "base/boot_clock.hpp"
#include "base/json.hpp"
#include "base/root_agent.hpp"
#include "base/text.hpp"
#include "config/templates.hpp"
#include "guest/cloud_init.hpp"
#include "hypervisor/qcow2.hpp"
#include "hypervisor/rootagent/wire.hpp"
#include "lifecycle/agent_line.hpp"
#include "lifecycle/leftovers.hpp"
#include "lifecycle/starting.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;
namespace fs = std::filesystem;

constexpr std::uint64_t gib = 1ull << 30;
constexpr auto longest_guest_command = 120s;
constexpr std::ptrdiff_t longest_command_text = 4000; // characters, as the action's other callers know it
constexpr std::int64_t longest_agent_answer = 5;      // seconds: everybody else's actions wait meanwhile
constexpr std::size_t largest_definition = 1u << 20;

std::string text_of(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr || !value->is_string())
        throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
    return std::string(value->get_string());
}

std::int64_t number_of(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr || !value->is_int64())
        throw Error(Code::invalid, fmt::format("the parameter {} is missing", key));
    return value->get_int64();
}

VmName name_of(const std::string& text) {
    if (const auto name = VmName::try_parse(text)) return *name;
    throw Error(Code::invalid, fmt::format("Invalid domain name: '{}'", text::printable(text, 80)));
}

/// The domain of that name, which is ours; nothing when there is none.
std::optional<Observation> ours(World& world, const VmName& name) {
    Observation seen = observe(world, name);
    if (!seen.domain) return std::nullopt;
    // The instance's id lies in the blockhost user's folder; the state folder's name is root's.
    const bool elsewhere = seen.facts.mark && seen.facts.mark->state_folder != world.paths.state.string();
    if (seen.proof == Proof::none || elsewhere)
        throw Error(Code::foreign, fmt::format("{} is a domain that this BlockHost did not make; it is left "
                                               "untouched",
                                               name.str()));
    return seen;
}

Observation existing(World& world, const VmName& name) {
    auto seen = ours(world, name);
    if (!seen) throw Error(Code::not_found, fmt::format("libvirt has no domain {}", name.str()));
    return *std::move(seen);
}

// What QEMU, virtlogd and libvirt will open

[[noreturn]] void planted(const fs::path& path, std::string_view why) {
    throw Error(
        Code::denied, fmt::format("{} {}", path.string(), why),
        "look at it: root touches only regular files with one name, in folders that are no links of others");
}

/// A folder of ours; nothing when there is none. What lies in the state folder is the blockhost user's, who
/// can put a link there: only root's own are followed.
std::optional<Folder> open_ours(const World& world, const fs::path& path) {
    const fs::path relative = path.lexically_relative(world.paths.state);
    auto at = Folder::open(world.paths.state);
    if (relative.empty() || *relative.begin() == "..")
        return Folder::open(path); // where root's db.yaml has it
    for (const fs::path& step : relative) {
        struct stat seen {};
        if (!at || fstatat(at->fd(), step.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
        if (S_ISLNK(seen.st_mode) && seen.st_uid != 0) planted(at->path() / step, "is a link");
        at = S_ISLNK(seen.st_mode) ? Folder::open(at->path() / step) : at->sub(step.string());
    }
    return at;
}

/// Of a file: that it is a regular one with this one name. Absent is fine where libvirt makes it anew.
enum class Absent { is_fine, is_refused };
void require_plain(const std::optional<Folder>& folder, const fs::path& path, Absent absent) {
    const std::string name = path.filename().string();
    if (absent == Absent::is_fine && (!folder || folder->kind(name) == Folder::Kind::absent)) return;
    const Fd file = folder ? folder->open_file(name, O_RDONLY | O_NONBLOCK) : Fd();
    struct stat seen {};
    if (!file || fstat(file.get(), &seen) != 0) planted(path, "is not there");
    if (seen.st_nlink != 1) planted(path, "has another name too");
}

/// Nothing below a disk but templates: libvirt opens the whole chain for QEMU.
void require_templates_below(const World& world, const fs::path& image) {
    const auto templates = open_ours(world, world.paths.templates);
    for (const fs::path& below : backing_chain(image))
        if (!templates || files::identity(below.parent_path()) != files::identity(templates->path()))
            planted(image, fmt::format("stands on {}, which is no template", below.string()));
}

/// Of the files that a domain of `name` names, those in our folders. (What else it has, root gave it.)
void require_planted_nothing(const World& world, const VmName& name, const DomainFacts& facts) {
    for (const fs::path disk : facts.disks) {
        if (disk.parent_path() != world.storage) continue;
        require_plain(open_ours(world, world.storage), disk, Absent::is_refused);
        require_templates_below(world, disk);
    }
    for (const fs::path seed : facts.seeds)
        if (seed.parent_path() == world.paths.cloud_init / name.str())
            require_plain(open_ours(world, seed.parent_path()), seed, Absent::is_refused);
    const fs::path console(facts.console_log);
    if (console.parent_path() == world.paths.consoles)
        require_plain(open_ours(world, world.paths.consoles), console, Absent::is_fine);
}

// Addresses

/// Why that address is none for VMs; nothing when it is. `marked`: the one that the VM's own domain was
/// given, which stays good when the pool has moved.
std::optional<std::string> unfit(const World& world, const Ipv4& ip, const std::optional<Ipv4>& marked) {
    const auto own = world.network->own_addresses();
    const bool hosts = std::find(own.begin(), own.end(), ip) != own.end() || world.config.ipv4.gateway == ip;
    if (!hosts && (world.config.ipv4.network.contains(ip) || marked == ip)) return std::nullopt;
    return fmt::format("{} is not an address for VMs (ip_pool in db.yaml)", ip.str());
}

std::optional<std::string> unfit(const World& world, const Ipv6& ip, const std::optional<Ipv6>& marked) {
    const auto own = world.network->own_addresses6();
    const auto broker = read_broker_allocation(world.paths);
    const bool hosts =
        std::find(own.begin(), own.end(), ip) != own.end() || (broker && broker->gateway() == ip);
    if (!hosts && ((broker && broker->prefix.contains(ip)) || marked == ip)) return std::nullopt;
    return fmt::format("{} is not an address for VMs (the broker's prefix)", ip.str());
}

/// Takes out of `wanted` what no VM may have; says so.
std::vector<std::string> take_out_unfit(World& world, const VmName& name, OwnAddresses& wanted) {
    const auto seen = ours(world, name);
    const DomainMark mark = seen && seen->facts.mark ? *seen->facts.mark : DomainMark{};
    std::vector<std::string> problems;
    if (const auto why = wanted.ip ? unfit(world, *wanted.ip, mark.ip) : std::nullopt) {
        problems.push_back(*why);
        wanted.ip.reset();
    }
    if (const auto why = wanted.ipv6 ? unfit(world, *wanted.ipv6, mark.ipv6) : std::nullopt) {
        problems.push_back(*why);
        wanted.ipv6.reset();
    }
    return problems;
}

/// The VM's own, by its record or by what its operation noted, and nobody else's.
void require_own(const World& world, const VmName& name, const OwnAddresses& wanted) {
    const Database database = world.registry.read();
    const auto record = database.find(name);
    const auto entry = world.journal.peek(name);
    const bool live = record && record->status != RecordStatus::destroyed;
    const bool own_ip =
        !wanted.ip || (live && record->ip == wanted.ip) || (entry && entry->ip() == wanted.ip);
    const bool own_ipv6 =
        !wanted.ipv6 || (live && record->ipv6 == wanted.ipv6) || (entry && entry->ipv6() == wanted.ipv6);
    const OwnAddresses left = still_own(world, database, name, wanted);
    if (!own_ip || !own_ipv6 || left.ip != wanted.ip || left.ipv6 != wanted.ipv6)
        throw Error(Code::invalid, fmt::format("the addresses are not those of {}", name.str()));
}

std::string bridge_of(World& world, const VmName& name, const bj::object& with) {
    const std::string bridge = text_of(with, "bridge");
    if (bridge == world.config.bridge) return bridge;
    const auto seen = ours(world, name);
    if (seen && seen->facts.bridge == bridge) return bridge;
    throw Error(Code::invalid,
                fmt::format("{} is not the bridge of {}", text::printable(bridge, 40), name.str()));
}

// The virsh-* actions

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

/// The file of a definition: below our state folder, walked to without links, one step or two.
std::string read_definition(const World& world, const fs::path& path) {
    const fs::path relative = path.lexically_relative(world.paths.state);
    std::vector<std::string> steps;
    for (const fs::path& step : relative) steps.push_back(step.string());
    if (!path.is_absolute() || steps.empty() || steps.front() == "..")
        throw Error(Code::invalid, fmt::format("{} is not below {}", text::printable(path.string(), 200),
                                               world.paths.state.string()));
    auto folder = Folder::open(world.paths.state);
    for (auto step = steps.begin(); folder && step + 1 != steps.end(); ++step) folder = folder->sub(*step);
    const auto text = folder ? folder->read(steps.back(), largest_definition) : std::nullopt;
    if (!text)
        throw Error(Code::not_found, fmt::format("there is no file {}", text::printable(path.string(), 200)));
    return *text;
}

/// The entry of an operation that somebody holds now.
std::optional<EntryView> held_entry(const World& world, const VmName& name, Verb verb) {
    auto entry = world.journal.peek(name);
    if (!entry || entry->verb != to_string(verb) || !world.journal.held(name)) return std::nullopt;
    return entry;
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

// The steps

struct StepCall {
    World& world;
    VmName name;
    std::string operation; ///< empty where the step belongs to none
    const bj::object& with;
};

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
    const auto subsystem = rootagent::subsystem_named(text_of(call.with, "subsystem"));
    const std::string of = text_of(call.with, "of");
    const bj::value* limits = call.with.if_contains("limits");
    if (!subsystem || (of != "running" && of != "definition") || limits == nullptr || !limits->is_object())
        throw Error(Code::invalid, "the limits cannot be read");
    call.world.hypervisor().tune(call.name.str(), *subsystem, rootagent::tuning_from(limits->get_object()),
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

template<class Call>
struct Named {
    std::string_view name;
    bj::object (*run)(Call);
};

constexpr std::array<Named<StepCall&>, 8> steps{{
    {"place", place},
    {"unplace", unplace},
    {"create-volume", create_volume},
    {"delete-volume", delete_volume},
    {"unpause", unpause},
    {"set-mark", set_mark},
    {"tune", tune},
    {"ask-agent", ask_agent},
}};

bj::object step(World& world, const bj::object& parameters) {
    const bj::value* with = parameters.if_contains("with");
    const bj::object nothing;
    StepCall call{world, name_of(text_of(parameters, "name")), text_of(parameters, "operation"),
                  with != nullptr && with->is_object() ? with->get_object() : nothing};
    const std::string name = text_of(parameters, "step");
    for (const auto& known : steps)
        if (known.name == name) return known.run(call);
    throw Error(Code::invalid, fmt::format("there is no step '{}'", text::printable(name, 80)));
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
    {"vm-step", step},
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
