/// See adopt.hpp.

#include "lifecycle/adopt.hpp"

#include "lifecycle/leftovers.hpp"
#include "lifecycle/veto.hpp"

#include <fmt/format.h>

namespace blockhost {

void adopt_domain(World& world, const Observation& seen, const OperationId& operation) {
    if (seen.proof != Proof::adoptable || !seen.record) return;
    const VmRecord& record = *seen.record;
    const DomainMark mark{world.instance.str(),
                          operation.str(),
                          world.paths.state.string(),
                          record.ip,
                          record.ipv6,
                          record.owner,
                          record.username,
                          record.network_mode,
                          record.expires_at ? format_instant(*record.expires_at) : "",
                          record.created_text};
    world.hypervisor().set_metadata(seen.name.str(), render_mark(seen.name, mark));
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
        return std::nullopt; // a user name that is none
    }
}

Adoption adopt_record(World& world, JournalEntry& entry) {
    const VmName& name = entry.name();
    clear_late_arrivals(world, name);
    const Observation seen = observe(world, name);
    if (!seen.domain) return Adoption::late_arrival;
    if (seen.record || seen.proof != Proof::mark) return Adoption::not_needed;
    const auto record = record_of(name, *seen.facts.mark, world.config.gc_grace_days, now());
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
    return Adoption::adopted;
}

} // namespace blockhost
