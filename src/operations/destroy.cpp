// SPDX-License-Identifier: MIT
/// Destroying a VM, step by step: no disk goes before its domain, and no address before its disk.

#include "operations/destroy.hpp"

#include "base/text/json.hpp"
#include "config/mounts.hpp"
#include "guest/cloud_init.hpp"
#include "host/network_hook.hpp"
#include "limits/throttle.hpp"
#include "operations/recover.hpp"
#include "safety/start.hpp"
#include "vm/cleanup.hpp"
#include "vm/disk_chain.hpp"
#include "vm/expiry.hpp"
#include "vm/stay_off_marks.hpp"
#include "vm/undo_snapshot.hpp"

#include <array>
#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

namespace bj = boost::json;

constexpr auto network_hook_limit = std::chrono::seconds(60);

/// A destroy under way, or one continued from its journal entry. What to remove was decided at the beginning,
/// while the definition could still be read.
struct DestroyOperation {
    World& world;
    VmName name;
    std::string uuid;               ///< of the domain; empty: there was none
    std::vector<std::string> disks; ///< file names in the pool's folder
    std::string bridge;
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
    /// Only in gc's destroy: while there is a domain, the VM is spared when it is not overdue by so many
    /// days.
    std::optional<std::int64_t> grace_days = {};
    Instant judged_at = {}; ///< when gc judged: a recovery's clock changes no verdict
    bool spared = false;
};

/// Thrown by the step that finds the VM extended; ends the operation with nothing lost.
struct Spared {};

/// Whether the VM's domain is there: the one whose uuid was seen at the beginning or, if there was none then,
/// one that carries the mark. The journal is outside text, so the domain is proved again each time.
bool is_there(DestroyOperation& op) {
    const auto view = op.world.hypervisor().find(op.name.str());
    if (!view || (!op.uuid.empty() && view->uuid != op.uuid)) return false;
    const auto record = op.world.registry.read().find(op.name);
    const Proof proof = proof_of(op.world, op.name, record, read_domain(view->xml));
    if (op.uuid.empty()) return proof == Proof::mark;
    if (proof == Proof::none)
        throw Error(
            Code::foreign,
            fmt::format("the domain {} is not provably ours any more; it is left untouched", op.name.str()),
            "somebody has changed its metadata or disks: look at 'virsh dumpxml " + op.name.str() + "'");
    return true;
}

/// The last checks whether the VM is paid for: after them nothing can be given back.
void check_overdue(DestroyOperation& op) {
    if (!op.grace_days) return;
    const auto record = op.world.registry.read().find(op.name);
    if (record && is_overdue(*record, *op.grace_days, op.judged_at)) return;
    op.spared = true;
    throw Spared{};
}

void power_off(DestroyOperation& op) {
    if (!is_there(op)) return;
    check_overdue(op);
    op.world.hypervisor().power_off(op.name.str());
}

/// Only in gc's destroy: engines do it themselves. It cannot be undone for a VM that is spared afterwards, so
/// it comes last before the domain goes.
void clean_up_network(DestroyOperation& op) {
    if (!op.grace_days || op.world.reality != Reality::real || !is_there(op)) return;
    check_overdue(op);
    const auto limit = std::chrono::ceil<std::chrono::seconds>(within(op.world.end, network_hook_limit));
    if (const auto problem = host::clean_up_network(op.world.paths.root, op.name.str(), limit))
        op.world.progress.warn(*problem);
}

void undefine(DestroyOperation& op) {
    if (!is_there(op)) return;
    check_overdue(op);
    op.world.hypervisor().undefine(op.name.str());
    if (is_there(op))
        throw Error(Code::hypervisor,
                    fmt::format("libvirt still has {} after undefining it; its disk is kept", op.name.str()),
                    "look at 'virsh dominfo " + op.name.str() + "', then destroy it again");
}

void delete_disks(DestroyOperation& op) {
    blockhost::delete_disks(op.world, op.name, op.disks);
}

void remove_files(DestroyOperation& op) {
    guest::remove_seed(op.world.paths.cloud_init, op.name);
    remove_console_logs(op.world, op.name);
    remove_samples(op.world, op.name);
    allow_start(op.world, op.name);
    safety::keep_off_no_more(op.world, op.name);
    limits::forget_limits(op.world, op.name);
    forget_half_kept(op.world, op.name);
    forget_replaced_disk(op.world, op.name);
}

void remove_routes(DestroyOperation& op) {
    blockhost::remove_routes(op.world, op.name, op.bridge, {op.ip, op.ipv6});
}

/// A record that is destroyed already has given its addresses back: they may be another VM's now.
void mark_destroyed(DestroyOperation& op) {
    op.world.registry.change([&](Database& database) {
        const auto record = database.find(op.name);
        if (!record)
            free_addresses(op.world, database, op.name, {op.ip, op.ipv6});
        else if (record->status != RecordStatus::destroyed)
            database.mark_destroyed(op.name, now());
    });
}

constexpr std::array<Step<DestroyOperation>, 7> steps{{
    {"power-off", "forcing the domain off", power_off},
    {"clean-up-network", "telling the network plugins", clean_up_network},
    {"undefine", "undefining the domain", undefine},
    {"delete-disks", "deleting the disk", delete_disks},
    {"remove-files", "removing seed, console log, samples and marks", remove_files},
    {"remove-routes", "removing routes and neighbour entries", remove_routes},
    {"mark-destroyed", "marking the VM destroyed", mark_destroyed},
}};

DestroyOperation operation_for(World& world, const Observation& seen) {
    const auto mark = seen.mark.value_or(DomainMark{});
    DestroyOperation op{world,
                        seen.name,
                        seen.domain ? seen.domain->uuid : "",
                        disks_of(world, seen),
                        seen.facts.bridge.empty() ? world.config.bridge : seen.facts.bridge,
                        mark.ip,
                        mark.ipv6};
    if (seen.record && seen.record->ip) op.ip = seen.record->ip;
    if (seen.record && seen.record->ipv6) op.ipv6 = seen.record->ipv6;
    if (!seen.record || seen.record->status != RecordStatus::destroyed) return op;
    // They were given back when the VM was destroyed, and may have been reserved by hand since.
    const Database database = world.registry.read();
    if (op.ip && database.holds(*op.ip)) op.ip.reset();
    if (op.ipv6 && database.holds(*op.ipv6)) op.ipv6.reset();
    return op;
}

bj::object to_json(const DestroyOperation& op) {
    return {{"uuid", op.uuid},
            {"disks", bj::array(op.disks.begin(), op.disks.end())},
            {"bridge", op.bridge},
            {"ip", op.ip ? op.ip->str() : ""},
            {"ipv6", op.ipv6 ? op.ipv6->str() : ""},
            {"grace_days", op.grace_days ? bj::value(*op.grace_days) : bj::value()},
            {"judged_at", format_instant(op.judged_at)}};
}

std::string text_of(const bj::object& from, std::string_view key) {
    return json::string_or(from, key, "");
}

/// The journal is outside text: a disk is taken from it only when we would have listed that name ourselves.
DestroyOperation from_json(World& world, const EntryView& left) {
    DestroyOperation op{world,
                        left.name,
                        text_of(left.parameters, "uuid"),
                        {},
                        text_of(left.parameters, "bridge"),
                        Ipv4::try_parse(text_of(left.parameters, "ip")),
                        Ipv6::try_parse(text_of(left.parameters, "ipv6"))};
    if (const auto days = json::integer_in(left.parameters, "grace_days")) op.grace_days = *days;
    op.judged_at = parse_instant(text_of(left.parameters, "judged_at")).value_or(left.since);
    for (const std::string& file : json::strings_in(left.parameters, "disks"))
        if (disk_proof(world, left.name, file) != DiskProof::none) op.disks.push_back(file);
    return op;
}

/// Carries out every step, also after a death: what was off may have been started meanwhile.
void run(DestroyOperation& op, JournalEntry& entry) {
    Interruption never;
    never.ignore_from_now();
    try {
        run_forward<DestroyOperation>(steps, op, entry, never, op.world);
    } catch (const Spared&) {
        op.world.progress.warn(op.name.str() + " was extended meanwhile; it is not destroyed");
        if (std::find(entry.started().begin(), entry.started().end(), "undefine") != entry.started().end())
            op.world.progress.warn("the network of " + op.name.str() +
                                   " was cleaned up already; its engine must set it up again");
    }
    entry.end();
}

} // namespace

void destroy(World& world, const VmName& name) {
    require_mounted(world.paths);
    JournalEntry entry = take_entry(world, name, Journal::Manner::ask_to_give_up, Interruption());
    const Observation seen = observe(world, name);
    if (decide(seen, Verb::destroy).kind == Verdict::Kind::nothing) return;
    DestroyOperation op = operation_for(world, seen);
    require_unused(world, name, op.disks, name);
    entry.begin(world.next_operation(), std::string(to_string(Verb::destroy)), to_json(op));
    run(op, entry);
}

bool destroy_overdue(World& world, JournalEntry& entry, std::int64_t grace_days) {
    require_mounted(world.paths);
    const Observation seen = observe(world, entry.name());
    const Instant when = now();
    if (!seen.record || !is_overdue(*seen.record, grace_days, when)) return false;
    if (decide(seen, Verb::destroy).kind == Verdict::Kind::nothing) return false;
    DestroyOperation op = operation_for(world, seen);
    op.grace_days = grace_days;
    op.judged_at = when;
    require_unused(world, entry.name(), op.disks, entry.name());
    entry.begin(world.next_operation(), std::string(to_string(Verb::destroy)), to_json(op));
    run(op, entry);
    return !op.spared;
}

namespace {

void finish(World& world, JournalEntry& entry, const EntryView& left) {
    if (!left.operation.of(world.instance)) throw foreign_entry(world, left);
    require_mounted(world.paths);
    DestroyOperation op = from_json(world, left);
    run(op, entry);
}

} // namespace

constinit const OperationRow destroy_operation{Verb::destroy, Direction::roll_forward, names_of<steps>,
                                               finish};

} // namespace blockhost::operations
