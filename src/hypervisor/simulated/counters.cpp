// SPDX-License-Identifier: MIT
/// See counters.hpp.

#include "hypervisor/simulated/counters.hpp"

#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/xml/domain.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace blockhost::simulated {
namespace {

constexpr std::uint64_t request_bytes = 4096;

std::uint64_t capacity_of(const DomainFacts& facts) {
    std::error_code ignored;
    if (facts.disks.empty() || !std::filesystem::exists(facts.disks.front(), ignored)) return 0;
    return qcow2_virtual_size(facts.disks.front());
}

/// What the guest and its process tell of memory.
void add_memory(DomainStats& stats, double used) {
    stats.rss_kib = stats.memory_max_kib + stats.memory_max_kib / 4; // QEMU's own share comes on top
    if (used < 0) return;
    const auto epoch = std::chrono::system_clock::now().time_since_epoch();
    stats.memory_available_kib = stats.memory_max_kib;
    stats.memory_usable_kib =
        stats.memory_max_kib - static_cast<std::uint64_t>(static_cast<double>(stats.memory_max_kib) * used);
    stats.memory_told_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(epoch).count());
}

void add_disk(DomainStats& stats, std::uint64_t millis, std::uint64_t rate) {
    stats.write_bytes = millis * rate / 1000;
    stats.read_bytes = stats.write_bytes / 2;
    stats.write_requests = stats.write_bytes / request_bytes;
    stats.read_requests = stats.read_bytes / request_bytes;
}

} // namespace

DomainStats stats_of(const std::string& name, const DomainFile& domain, const std::string& xml,
                     const Behaviour& behaviour) {
    DomainStats stats;
    stats.name = name;
    stats.uuid = domain.uuid;
    stats.state = domain.state;
    stats.reason = domain.reason;
    if (domain.state == PowerState::off) return stats;
    constexpr Millis ids = 1 << 30;
    stats.id = static_cast<int>(domain.started % ids);
    const auto facts = read_domain(xml);
    const auto millis = static_cast<std::uint64_t>(std::max<Millis>(0, millis_now() - domain.started));
    stats.running_s = static_cast<std::int64_t>(millis / 1000);
    stats.cpus = facts.cpus;
    stats.cpu_time_ns =
        static_cast<std::uint64_t>(static_cast<double>(millis) * 1e6 * behaviour.cpu_load * facts.cpus);
    stats.memory_max_kib = facts.memory_mib * 1024;
    stats.received_bytes = millis * behaviour.network_rate / 1000;
    stats.sent_bytes = stats.received_bytes / 2;
    stats.complete = behaviour.stats == "ok";
    if (!stats.complete) return stats;
    stats.disk_capacity_bytes = capacity_of(facts);
    add_memory(stats, behaviour.memory_used);
    add_disk(stats, millis, behaviour.disk_rate);
    return stats;
}

} // namespace blockhost::simulated
