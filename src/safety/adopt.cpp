// SPDX-License-Identifier: MIT
/// See adopt.hpp.

#include "safety/adopt.hpp"

#include "config/mounts.hpp"
#include "safety/isolation.hpp"
#include "vm/cleanup.hpp"
#include "vm/stay_off_marks.hpp"

#include <fmt/format.h>

namespace blockhost::safety {

DomainMark adopted_mark(const World& world, const Observation& seen, const OperationId& operation) {
    const VmRecord& record = seen.record.value();
    return {.instance = world.instance.str(),
            .operation = operation.str(),
            .state_folder = world.paths.state.string(),
            .name = seen.name.str(),
            .uuid = seen.domain.value().uuid,
            .ip = record.ip,
            .ipv6 = record.ipv6,
            .wallet = record.owner,
            .username = record.username,
            .network_mode = record.network_mode,
            .expires_at = record.expires_at ? format_instant(*record.expires_at) : "",
            .created_at = record.created_text};
}

void adopt_domain(World& world, const Observation& seen, const OperationId& operation) {
    if (seen.proof != Proof::adoptable || !seen.record) return;
    world.hypervisor().set_metadata(seen.name.str(), adopted_mark(world, seen, operation));
    guard_definition(world, seen);
}

std::optional<NewRecord> record_of(const VmName& name, const DomainMark& mark, std::int64_t grace_days,
                                   Instant when) {
    const auto wallet = Wallet::trusted(mark.wallet);
    const auto created_at = parse_instant(mark.created_at);
    const auto expires_at = parse_instant(mark.expires_at);
    if (!mark.ip || !wallet || !created_at || !expires_at || mark.network_mode.empty()) return std::nullopt;
    try {
        return NewRecord{name,
                         *wallet,
                         Username(mark.username),
                         *mark.ip,
                         mark.ipv6,
                         mark.network_mode,
                         *created_at,
                         std::max(*expires_at, when + std::chrono::hours(24) * grace_days)};
    } catch (const Error&) {
        return std::nullopt; // the mark's user name is not a valid one
    }
}

Adoption adopt_record(World& world, JournalEntry& entry) {
    const VmName& name = entry.name();
    require_mounted(world.paths);
    clear_late_arrivals(world, name);
    const Observation seen = observe(world, name);
    if (!seen.domain) return Adoption::late_arrival;
    if (seen.record || seen.proof != Proof::mark) return Adoption::not_needed;
    const auto record = record_of(name, *seen.mark, world.config.gc_grace_days, now());
    if (!record)
        throw Error(
            Code::wrong_state,
            fmt::format("{} has no record, and its mark does not tell enough to write one", name.str()),
            fmt::format("look at 'virsh dumpxml {0}'; 'blockhost-libvirt destroy {0}' removes it",
                        name.str()));
    const bool was_suspended = start_forbidden(world, name);
    world.registry.change([&](Database& database) {
        if (database.find(name)) return;
        database.add(*record);
        if (was_suspended) database.mark_suspended(name, now());
    });
    if (!was_suspended && is_alive(seen.domain->state)) {
        const Observation adopted = observe(world, name);
        place_routes(world, adopted);
        guard_running(world, adopted);
    }
    return Adoption::adopted;
}

} // namespace blockhost::safety
