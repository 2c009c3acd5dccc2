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
#include "host/capability.hpp"
#include "operations/admission.hpp"
#include "operations/create/addresses.hpp"
#include "operations/create/copy.hpp"
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

/// What only a live create has; recovery reverts without it.
struct Making {
    const CreateRequest& request;
    const Settings& settings;
    const Interruption& interruption;
    const std::function<void(const CreateResult&)>& deliver;
    const Uuid uuid = request.origin ? request.origin->uuid : Uuid::random();
    const Mac mac = request.origin ? request.origin->mac : Mac::random_qemu();
    std::string seed_path = {};
    ExpectedLogin login = {};  ///< once the seed is written
    bool on_template = true;   ///< of the disk, once it is made
    bool guest_answers = true; ///< once it was waited for

    const Origin* origin() const { return request.origin ? &*request.origin : nullptr; }
    FormerAddresses former() const {
        return origin() ? FormerAddresses{origin()->ip, origin()->ipv6} : FormerAddresses{};
    }
    bool has_former(const Addresses& addresses) const {
        return origin() && addresses.ip == origin()->ip && addresses.ipv6 == origin()->ipv6;
    }
    bool is_copy() const { return origin() && origin()->guest == Origin::Guest::renewed; }
    bool is_moved(const Addresses& addresses) const {
        return origin() && origin()->ip && !has_former(addresses);
    }
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
        if (const Origin* origin = making->origin()) return origin->expires_at;
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
    return {
        .name = vm.name, .addresses = addresses, .username = vm.username, .nft_token_id = vm.nft_token_id};
}

// reserve-addresses

void reserve_addresses(CreateOperation& op) {
    const Journal::Claims elsewhere = claimed_elsewhere(op.world, op.name());
    op.world.registry.change([&](Database& database) {
        const Addresses chosen =
            choose(op.world, op.name(), op.making->settings, database, elsewhere, op.making->former());
        op.entry.note_addresses(chosen.ip, chosen.ipv6);
        op.addresses = chosen;
        database.allocate(chosen);
    });
    const Making& making = *op.making;
    if (!making.has_former(*op.addresses)) warn_of_a_used_up_pool(op.world, making.settings, *op.addresses);
    if (making.is_moved(*op.addresses))
        op.world.progress.warn(fmt::format(
            "{} cannot have its former address {}: it gets {}, and cloud-init sets up this instance anew",
            op.name().str(), making.origin()->ip->str(), op.addresses->ip.str()));
}

void release_addresses(CreateOperation& op) {
    if (!op.addresses) return;
    op.world.registry.change(
        [&](Database& database) { free_addresses(op.world, database, op.name(), op.own_addresses()); });
}

// write-seed

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
    // cloud-init sets up the network of an instance that it does not know, and of no other.
    const Uuid instance = op.making->is_moved(*op.addresses) ? Uuid::random() : op.making->uuid;
    const guest::Seed seed{text, guest::render_meta_data(op.name(), instance),
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
    safety::keep_off_no_more(op.world, op.name());
    remove_console_logs(op.world, op.name());
}

// create-volume

/// The backing image is noted before the disk is asked for: libvirt may make the disk after our death.
void make_empty_volume(CreateOperation& op) {
    Hypervisor& hypervisor = op.world.hypervisor();
    const FileLock kept =
        hold_templates(op.world.paths, FileLock::Mode::shared, Deadline::in(60s), op.making->interruption);
    const std::string image = backing_of(op.world, op.making->request).string();
    op.entry.note({{template_note, image}});
    op.making->on_template = !image.empty();
    op.world.storage_folder(); // libvirt would follow a planted link
    hypervisor.ensure_pool(op.world.pool, op.world.storage.string());
    const Paths& paths = op.world.paths;
    note_mounts(paths, {op.world.storage, paths.templates.string(), paths.cloud_init.string(),
                        paths.consoles.string(), op.world.config.db_file.parent_path()});
    const Origin* origin = op.making->origin();
    const auto asked = static_cast<std::uint64_t>(op.making->request.vm.disk_gib) * gib;
    hypervisor.create_volume(op.world.pool, {op.volume(), origin ? origin->disk_bytes : asked, image});
}

void create_volume(CreateOperation& op) {
    make_empty_volume(op);
    const Origin* origin = op.making->origin();
    if (!origin) return;
    if (!op.making->on_template)
        op.world.progress.warn(
            fmt::format("{} is not among the templates: the disk stands by itself, and takes "
                        "the room of all that it holds",
                        origin->base.empty() ? "what the disk stood on" : origin->base));
    origin->fill(op.world.storage / op.volume(), op.making->on_template, op.making->interruption);
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
        .link = op.making->is_copy() ? Link::down : Link::up,
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

bool stays_off(const CreateOperation& op) {
    const Origin* origin = op.making->origin();
    return origin && origin->then == Origin::Then::stay_off;
}

void start_domain(CreateOperation& op) {
    if (stays_off(op)) return safety::keep_off(op.world, op.name());
    op.world.hypervisor().watch(op.name().str());
    safety::start_domain(op.world, op.name());
    for (const std::string& problem : op.world.network->guard_port(op.name(), op.placement()))
        op.world.progress.warn(problem);
}

// await-guest, register, deliver

/// A guest that does not get ready keeps nobody from its disk: a disk that came back stays.
void await_guest(CreateOperation& op) {
    if (stays_off(op)) return;
    const bool is_copy = op.making->is_copy();
    if (is_copy)
        renew_copy(op.world, op.name(), op.making->mac, op.making->request.ready_timeout,
                   op.making->interruption);
    try {
        await_ready(op.world, op.name(), op.world.paths.consoles, op.making->request.ready_timeout,
                    op.making->login, op.making->interruption);
        if (is_copy) rename_copy(op.world, op.name(), op.making->interruption);
    } catch (const Error& error) {
        if (!op.making->origin() || error.code() != Code::guest) throw;
        op.making->guest_answers = false;
        op.world.progress.warn(error.message());
    }
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
    CreateResult result = result_of(op.making->request.vm, *op.addresses);
    result.uuid = op.making->uuid;
    result.as_before = op.making->has_former(*op.addresses);
    result.on_template = op.making->on_template;
    result.runs = !stays_off(op);
    result.guest_answers = result.runs && op.making->guest_answers;
    op.making->deliver(result);
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
    check_host_bounds(world, claimed_by(request));
    decide(observe(world, request.vm.name, entry), Verb::create);
    check_no_volume(world, request.vm.name);
}

/// Counts the room, and writes the header by which other creates count this one.
void admit(World& world, const CreateRequest& request, CreateOperation& op) {
    const FileLock admission = world.journal.take_admission(Deadline::in(20s), op.making->interruption);
    check_room(world, claimed_by(request));
    boost::json::object parameters{{"memory_mib", request.vm.memory_mib},
                                   {"bridge", op.bridge},
                                   {"created_at", format_instant(op.created_at)}};
    if (request.origin) parameters["from"] = request.origin->told;
    op.entry.begin(op.id, std::string(to_string(Verb::create)), parameters);
}

} // namespace

CreateResult preview_create(World& world, const CreateRequest& request) {
    check_clock_for_sale(world, request.clock);
    const Settings settings = read_settings(world, request.vm, host::Way::look, request.disk_from());
    const auto entry = world.journal.peek(request.vm.name);
    check_all(world, request, entry ? entry->seen() : EntrySeen::none);
    check_room(world, claimed_by(request));
    const Journal::Claims elsewhere = claimed_elsewhere(world, request.vm.name);
    const Addresses addresses =
        choose(world, request.vm.name, settings, world.registry.read(), elsewhere, {});
    warn_of_a_used_up_pool(world, settings, addresses);
    user_data(world, request, settings, addresses); // what it refuses, --apply would refuse too
    show_steps(world.progress, create_operation, "--apply");
    return result_of(request.vm, addresses);
}

void create(World& world, const CreateRequest& request,
            const std::function<void(const CreateResult&)>& deliver) {
    const Settings settings = read_settings(world, request.vm, host::Way::open, request.disk_from());
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
