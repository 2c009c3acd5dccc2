// SPDX-License-Identifier: MIT
/// Creating a VM, step by step.

#include "operations/create.hpp"

#include "base/exceptions.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "config/templates.hpp"
#include "guest/cloud_init.hpp"
#include "guest/user_data.hpp"
#include "host/capability.hpp"
#include "operations/admission.hpp"
#include "operations/create_settings.hpp"
#include "operations/provisioning_lock.hpp"
#include "operations/recover.hpp"
#include "operations/wait_for_guest.hpp"
#include "safety/planted_files.hpp"
#include "safety/start.hpp"
#include "vm/cleanup.hpp"
#include "vm/disk_chain.hpp"
#include "vm/stay_off_marks.hpp"

#include <array>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t gib = 1ull << 30;

using Claims = Journal::Claims;

void add(Claims& all, const Claims& more) {
    all.ip.insert(all.ip.end(), more.ip.begin(), more.ip.end());
    all.ipv6.insert(all.ipv6.end(), more.ipv6.begin(), more.ipv6.end());
}

/// Addresses that somebody has although the database may not say so. Operations are looked at first: one that
/// is over by the second look has left a domain.
Claims claimed_elsewhere(World& world, const VmName& name) {
    Claims claims = world.journal.claims_of_others(name);
    add(claims, claims_of_domains(world, name));
    return claims;
}

/// The first addresses that neither the database, the host, a domain nor an open operation has.
Addresses choose(const World& world, const VmName& name, const Settings& settings, const Database& database,
                 const Claims& elsewhere) {
    Claims taken{world.network->own_addresses(), world.network->own_addresses6()};
    taken.ip.push_back(settings.gateway);
    add(taken, elsewhere);
    add(taken, world.journal.claims_of_others(name));
    const auto prefix = settings.broker ? std::optional(settings.broker->prefix) : std::nullopt;
    return choose_addresses(database, world.config.ipv4, taken.ip, taken.ipv6, prefix,
                            world.config.ipv6_first, world.config.ipv6_last);
}

/// A VM is made without IPv6 when the host has a prefix but no free address; this warning says why.
void warn_of_a_used_up_pool(const World& world, const Settings& settings, const Addresses& chosen) {
    if (!settings.broker || chosen.ipv6) return;
    world.progress.warn(
        fmt::format("no IPv6 address is free: {} has none left at {} to {} (ipv6_pool in db.yaml); "
                    "the VM gets IPv4 alone",
                    settings.broker->prefix.str(), world.config.ipv6_first, world.config.ipv6_last));
}

/// What only a live create has; recovery reverts without it.
struct Making {
    const CreateRequest& request;
    const Settings& settings;
    const Interruption& interruption;
    const std::function<void(const CreateResult&)>& deliver;
    Uuid uuid = Uuid::random();
    Mac mac = Mac::random_qemu();
    std::string seed_path = {};
    ExpectedLogin login = {}; ///< once the seed is written
};

/// A create under way, or one that is rolled back from its journal entry.
struct CreateOperation {
    World& world;
    JournalEntry& entry;
    OperationId id;
    Instant created_at;
    std::string bridge;
    std::optional<Addresses> addresses; ///< once journaled
    Making* making = nullptr;           ///< null in recovery

    const VmName& name() const { return entry.name(); }
    std::string volume() const { return volume_name(name(), id); }
    std::string console() const { return name().str() + ".log"; }
    host::Placement placement() const { return {bridge, making->mac, addresses->ip, addresses->ipv6}; }
    OwnAddresses own_addresses() const { return {addresses->ip, addresses->ipv6}; }
    Instant expires_at() const {
        return created_at + std::chrono::hours(24) * making->request.vm.expiry_days;
    }
    NewRecord record() const {
        const VmRequest& vm = making->request.vm;
        return {vm.name,       vm.wallet,       vm.username,
                addresses->ip, addresses->ipv6, making->settings.network_mode,
                created_at,    expires_at()};
    }
};

CreateResult result_of(const VmRequest& vm, const Addresses& addresses) {
    return {vm.name, addresses, vm.username, vm.nft_token_id};
}

// reserve-addresses

void reserve_addresses(CreateOperation& op) {
    const Claims elsewhere = claimed_elsewhere(op.world, op.name());
    op.world.registry.change([&](Database& database) {
        const Addresses chosen = choose(op.world, op.name(), op.making->settings, database, elsewhere);
        op.entry.note_addresses(chosen.ip, chosen.ipv6);
        op.addresses = chosen;
        database.allocate(chosen);
    });
    warn_of_a_used_up_pool(op.world, op.making->settings, *op.addresses);
}

void release_addresses(CreateOperation& op) {
    if (!op.addresses) return;
    op.world.registry.change(
        [&](Database& database) { free_addresses(op.world, database, op.name(), op.own_addresses()); });
}

// write-seed

std::string user_data(const World& world, const CreateRequest& request, const Settings& settings,
                      const Addresses& addresses) {
    const guest::UserDataInput input{.request = request.vm,
                                     .ip = addresses.ip,
                                     .ipv6 = addresses.ipv6,
                                     .dns_zone = settings.broker ? settings.broker->dns_zone : "",
                                     .web3 = settings.web3,
                                     .engine_installed = settings.engine.found,
                                     .verbatim = request.user_data,
                                     .ssh_key = request.ssh_key,
                                     .secret_key = random_hex(64)};
    std::string text = guest::render_user_data(input, world.paths);
    const std::string what = request.user_data ? "the given user-data" : "the login template";
    guest::require_user_data(text, what);
    if (const std::string wrong = guest::malformed_in(text); !wrong.empty())
        world.progress.warn(fmt::format("{} is no YAML that cloud-init could read: {}", what, wrong));
    return text;
}

/// The login that the user-data makes. Our own user-data and an engine's template promise one; a text of the
/// caller's own need not.
ExpectedLogin login_of(const CreateRequest& request, const std::string& text) {
    ExpectedLogin expected{guest::login_in(text, request.vm.username.str()), true};
    expected.promised = expected.login.declared || !request.user_data;
    return expected;
}

void write_seed(CreateOperation& op) {
    const Settings& settings = op.making->settings;
    const guest::NetworkInput network{op.making->mac,
                                      op.addresses->ip,
                                      op.world.config.ipv4.network.prefix_length(),
                                      settings.gateway,
                                      op.world.config.resolvers,
                                      op.addresses->ipv6,
                                      settings.broker ? std::optional(settings.broker->gateway())
                                                      : std::nullopt,
                                      op.world.network->unusual_mtu(op.bridge)};
    const std::string text = user_data(op.world, op.making->request, settings, *op.addresses);
    op.making->login = login_of(op.making->request, text);
    const guest::Seed seed{text, guest::render_meta_data(op.name(), op.making->uuid),
                           guest::render_network_config(network)};
    const auto image =
        op.world.reality == Reality::simulated ? guest::SeedImage::stand_in : guest::SeedImage::iso;
    op.making->seed_path = guest::write_seed(op.world.paths.cloud_init, op.name(), seed, image).string();
}

void remove_seed(CreateOperation& op) {
    guest::remove_seed(op.world.paths.cloud_init, op.name());
}

// prepare-console

void prepare_console(CreateOperation& op) {
    allow_start(op.world, op.name()); // an earlier VM of that name may have left marks
    safety::keep_off_no_more(op.world, op.name());
    const Folder folder = op.world.paths.consoles.make(0711);
    folder.replace_unsynced(op.console(), "", {.mode = 0640, .uid = {}, .gid = {}});
}

void remove_console(CreateOperation& op) {
    remove_console_logs(op.world, op.name());
}

// create-volume

/// The backing image is noted before the disk is asked for: libvirt may make the disk after our death.
void create_volume(CreateOperation& op) {
    Hypervisor& hypervisor = op.world.hypervisor();
    const VmRequest& vm = op.making->request.vm;
    const FileLock kept =
        hold_templates(op.world.paths, FileLock::Mode::shared, Deadline::in(60s), op.making->interruption);
    const std::string image = template_for(op.world, vm).string();
    op.entry.note({{template_note, image}});
    if (geteuid() == 0) safety::require_template(op.world, image);
    op.world.storage_folder(); // libvirt would follow a planted link
    hypervisor.ensure_pool(op.world.pool, op.world.storage.string());
    const Paths& paths = op.world.paths;
    note_mounts(paths, {op.world.storage, paths.templates.string(), paths.cloud_init.string(),
                        paths.consoles.string(), op.world.config.db_file.parent_path()});
    hypervisor.create_volume(op.world.pool,
                             {op.volume(), static_cast<std::uint64_t>(vm.disk_gib) * gib, image});
}

void delete_volume(CreateOperation& op) {
    op.world.delete_volume(op.name(), op.volume());
    op.world.sync_volumes();
}

// set-routes

void set_routes(CreateOperation& op) {
    for (const std::string& problem : op.world.network->place(op.name(), op.placement()))
        op.world.progress.warn(problem);
}

void remove_routes(CreateOperation& op) {
    if (op.addresses) blockhost::remove_routes(op.world, op.name(), op.bridge, op.own_addresses());
}

// define-domain

bool wants_kvm(const World& world) {
    switch (world.config.domain_type) {
    case DomainType::kvm:
        return true;
    case DomainType::qemu:
        return false;
    case DomainType::automatic:
        return host::kvm_works();
    }
    return false;
}

void define_domain(CreateOperation& op) {
    const World& world = op.world;
    const VmRequest& vm = op.making->request.vm;
    const FilterKind kind = op.addresses->ipv6 ? FilterKind::ipv4_and_ipv6 : FilterKind::ipv4;
    const DomainSpec spec{
        .name = vm.name,
        .uuid = op.making->uuid,
        .kvm = wants_kvm(world),
        .cpus = vm.cpus,
        .memory_mib = vm.memory_mib,
        .disk_path = (world.storage / op.volume()).string(),
        .seed_path = op.making->seed_path,
        .console_path = world.paths.consoles.string(op.console()),
        .bridge = op.bridge,
        .mac = op.making->mac,
        .filter = filter_name(kind, world.paths.is_default_root, world.instance),
        .kernel = world.config.boot_kernel,
        .initrd = world.config.boot_initrd,
        .kernel_arguments = world.config.boot_arguments,
        .instance = world.instance,
        .operation = op.id,
        .state_folder = world.paths.state.string(),
        .ip = op.addresses->ip,
        .ipv6 = op.addresses->ipv6,
        .wallet = vm.wallet.str(),
        .username = vm.username.str(),
        .network_mode = op.making->settings.network_mode,
        .expires_at = format_instant(op.expires_at()),
        .created_at = format_instant(op.created_at),
        .mtu = world.network->unusual_mtu(op.bridge),
    };
    op.world.hypervisor().ensure_filter({kind, spec.filter});
    op.world.hypervisor().define(spec);
}

/// The domain of that name, if this operation made it.
std::optional<DomainView> domain_of(World& world, const VmName& name, const OperationId& operation) {
    auto view = world.hypervisor().find(name.str());
    if (!view) return std::nullopt;
    const Claim claim = read_domain(view->xml).claim;
    const DomainMark* mark = claim.ours(world.instance);
    return mark && mark->operation == operation.str() ? view : std::nullopt;
}

void remove_domain(CreateOperation& op) {
    if (!domain_of(op.world, op.name(), op.id)) return;
    op.world.hypervisor().power_off(op.name().str());
    op.world.hypervisor().undefine(op.name().str());
}

// start-domain

void start_domain(CreateOperation& op) {
    op.world.hypervisor().watch(op.name().str());
    safety::start_domain(op.world, op.name());
    for (const std::string& problem : op.world.network->guard_port(op.name(), op.placement()))
        op.world.progress.warn(problem);
}

// await-guest, register, deliver

void await_guest(CreateOperation& op) {
    await_ready(op.world, op.name(), op.world.paths.consoles, op.making->request.ready_timeout,
                op.making->login, op.making->interruption);
}

void register_vm(CreateOperation& op) {
    op.world.sync_volumes();
    op.world.registry.change([&](Database& database) { database.add(op.record()); });
}

void unregister_vm(CreateOperation& op) {
    if (!op.addresses) return;
    op.world.registry.change(
        [&](Database& database) { database.remove_exactly(op.name(), op.addresses->ip, op.created_at); });
}

void deliver(CreateOperation& op) {
    op.making->deliver(result_of(op.making->request.vm, *op.addresses));
}

constexpr std::array<Step<CreateOperation>, 10> steps{{
    {"reserve-addresses", "reserving addresses", reserve_addresses, release_addresses, Late::nothing, true},
    {"write-seed", "writing the cloud-init seed", write_seed, remove_seed},
    {"prepare-console", "preparing the console log", prepare_console, remove_console},
    {"create-volume", "creating the disk", create_volume, delete_volume, Late::volume, true},
    {"set-routes", "setting routes and neighbour entries", set_routes, remove_routes},
    {"define-domain", "defining the domain", define_domain, remove_domain, Late::domain},
    {"start-domain", "starting the domain", start_domain, remove_domain, Late::running},
    {"await-guest", "waiting for the guest", await_guest},
    {"register", "registering the VM", register_vm, unregister_vm},
    {"deliver", "handing over the result", deliver},
}};

void undo(CreateOperation& op, const std::vector<std::string>& started) {
    run_back<CreateOperation>(steps, op, started, op.world.progress);
}

/// Closes a rolled-back operation: from now on its late arrivals are recognised.
void close_rolled_back(CreateOperation& op) {
    op.world.journal.remember_rolled_back(op.id, op.name(),
                                          op.addresses ? std::optional(op.addresses->ip) : std::nullopt);
    op.entry.end();
}

/// Whether the effect of the call in flight at the process's death can be seen now.
bool has_arrived(CreateOperation& op, Late late) {
    if (late == Late::volume) {
        const auto files = op.world.volume_files();
        return std::find(files.begin(), files.end(), op.volume()) != files.end();
    }
    const auto view = domain_of(op.world, op.name(), op.id);
    return view && (late == Late::domain || is_alive(view->state));
}

/// Waits for the one libvirt call that the dead process may have left in flight, until its effect is seen or
/// can no longer come.
void await_late(CreateOperation& op, const EntryView& left) {
    for (const auto& step : steps) {
        if (step.late == Late::nothing || step.name != left.in_flight()) continue;
        const Deadline over = late_end(op.world, left);
        while (!over.passed() && !has_arrived(op, step.late)) pause_for(100ms);
    }
}

/// A call that was given up, or whose connection broke, may still be carried out: waits for it on a new
/// connection.
void settle_lost_call(CreateOperation& op, const Error& reason) {
    constexpr auto patience = 10s;
    if (!is_lost_connection(reason)) return;
    op.world.reconnect(patience);
    if (const auto entry = op.world.journal.peek(op.name())) await_late(op, *entry);
}

[[noreturn]] void fail_and_undo(CreateOperation& op, const Error& reason) {
    op.world.interruption = nullptr;
    op.world.progress.stage("undoing what was done");
    try {
        settle_lost_call(op, reason);
        undo(op, op.entry.started());
        close_rolled_back(op);
    } catch (const Error& second) {
        throw Error(
            reason.code(),
            fmt::format("{} (and it could not be undone completely: {})", reason.message(), second.message()),
            fmt::format("'blockhost-libvirt recover {}' finishes that; the next create of that name does too",
                        op.name().str()));
    }
    throw Error(reason);
}

void check_no_volume(World& world, const VmName& name) {
    for (const std::string& file : world.volume_files())
        if (const auto disk = disk_name(file); file == name.str() + ".qcow2" || (disk && disk->vm == name))
            throw Error(
                Code::exists,
                fmt::format("Disk already exists: {} (VM name collision?)", (world.storage / file).string()),
                "choose another name, or move that disk away");
}

void check_all(World& world, const CreateRequest& request, EntrySeen entry) {
    require_mounted(world.paths);
    check_host_bounds(world, claimed_by(request.vm));
    decide(observe(world, request.vm.name, entry), Verb::create);
    check_no_volume(world, request.vm.name);
}

/// Counts the room, and writes the header by which other creates count this one.
void admit(World& world, const CreateRequest& request, CreateOperation& op) {
    const FileLock admission = world.journal.take_admission(Deadline::in(20s), op.making->interruption);
    check_room(world, claimed_by(request.vm));
    op.entry.begin(op.id, std::string(to_string(Verb::create)),
                   {{"memory_mib", request.vm.memory_mib},
                    {"bridge", op.bridge},
                    {"created_at", format_instant(op.created_at)}});
}

} // namespace

CreateResult preview_create(World& world, const CreateRequest& request) {
    check_clock_for_sale(world, request.clock);
    const Settings settings = read_settings(world, request.vm, host::Way::look);
    const auto entry = world.journal.peek(request.vm.name);
    check_all(world, request, entry ? entry->seen() : EntrySeen::none);
    check_room(world, claimed_by(request.vm));
    const Claims elsewhere = claimed_elsewhere(world, request.vm.name);
    const Addresses addresses = choose(world, request.vm.name, settings, world.registry.read(), elsewhere);
    warn_of_a_used_up_pool(world, settings, addresses);
    user_data(world, request, settings, addresses); // what it refuses, --apply would refuse too
    show_steps(world.progress, create_operation, "--apply");
    return result_of(request.vm, addresses);
}

void create(World& world, const CreateRequest& request,
            const std::function<void(const CreateResult&)>& deliver) {
    const Settings settings = read_settings(world, request.vm, host::Way::open);
    world.registry.check_writable();
    check_clock_for_sale(world, request.clock);
    std::optional<ProvisioningLock> provisioning;
    if (world.reality == Reality::real) provisioning.emplace(world.paths.run, world.progress);

    JournalEntry entry = take_entry(world, request.vm.name, Journal::Manner::wait, Interruption());
    clear_late_arrivals(world, request.vm.name);
    check_all(world, request, EntrySeen::none);

    const Interruption interruption([&entry] { return entry.asked_to_give_up(); });
    Making making{.request = request, .settings = settings, .interruption = interruption, .deliver = deliver};
    CreateOperation op{world, entry, world.next_operation(), now(), world.config.bridge, {}, &making};
    admit(world, request, op);
    world.interruption = &interruption;
    try {
        run_forward<CreateOperation>(steps, op, entry, interruption, world);
        entry.end();
        world.interruption = nullptr;
    } catch (const Error& error) {
        fail_and_undo(op, error);
    } catch (const std::exception& error) {
        fail_and_undo(op, as_error(error));
    }
}

namespace {

CreateOperation operation_from(World& world, JournalEntry& entry, const EntryView& left) {
    CreateOperation op{
        world, entry,  left.operation, left.since, json::string_or(left.parameters, "bridge", ""),
        {},    nullptr};
    if (const auto at = parse_instant(json::string_or(left.parameters, "created_at", "")))
        op.created_at = *at;
    if (const auto ip = left.ip()) op.addresses = Addresses{*ip, left.ipv6()};
    return op;
}

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    CreateOperation op = operation_from(world, entry, left);
    await_late(op, left);
    undo(op, left.started);
    close_rolled_back(op);
}

} // namespace

constinit const OperationRow create_operation{Verb::create, Direction::roll_back, names_of<steps>, finish};

} // namespace blockhost::operations
