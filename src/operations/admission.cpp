// SPDX-License-Identifier: MIT
/// Counts what is promised against what the host has.

#include "operations/admission.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/claim.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <map>

namespace blockhost::operations {

namespace {

constexpr std::uint64_t reserved_for_host_mib = 1024;
constexpr std::uint64_t mib = 1ull << 20, gib = 1ull << 30;

std::string figure_mib(double amount) {
    return text::human_bytes(static_cast<std::uint64_t>(amount) * mib);
}

bool takes_memory(const EntryView& entry) {
    return entry.seen() == EntrySeen::create || entry.verb == to_string(Verb::configure);
}

/// Memory of this instance's domains, and of operations that have not written theirs yet. The journal is read
/// first: a create that ends in between is seen twice and counted once, by its name, but never missed.
std::uint64_t promised_mib(World& world, const VmName& newcomer) {
    std::map<std::string, std::uint64_t> promised;
    for (const VmName& name : world.journal.names()) {
        const auto entry = world.journal.peek(name);
        if (!entry || !takes_memory(*entry)) continue;
        if (const auto memory = json::integer_in(entry->parameters, "memory_mib"); memory && *memory > 0)
            promised[name.str()] = static_cast<std::uint64_t>(*memory);
    }
    for (const DomainUse& use : world.hypervisor().uses())
        if (claim_of(use).ours(world.instance))
            promised[use.name] = std::max(promised[use.name], use.memory_mib);
    promised.erase(newcomer.str());
    std::uint64_t sum = 0;
    for (const auto& [name, memory] : promised) sum += memory;
    return sum;
}

/// The pool's free room, from its file system: libvirt knows only what it saw at the pool's last refresh.
std::uint64_t free_bytes(World& world) {
    if (world.reality == Reality::simulated) {
        const auto pool = world.hypervisor().find_pool(world.pool);
        return pool ? pool->available_bytes : std::numeric_limits<std::uint64_t>::max();
    }
    std::filesystem::path folder = world.storage;
    std::error_code error;
    while (!std::filesystem::exists(folder, error) && folder.has_relative_path())
        folder = folder.parent_path();
    const auto space = std::filesystem::space(folder, error);
    if (error)
        throw Error(Code::io,
                    fmt::format("cannot tell the free room of {}: {}", folder.string(), error.message()));
    return space.available;
}

} // namespace

Claimed claimed_by(const VmRequest& request) {
    return {.name = request.name,
            .cpus = request.cpus,
            .memory_mib = request.memory_mib,
            .disk_gib = request.disk_gib};
}

void check_host_bounds(World& world, const Claimed& request) {
    const HostView host = world.hypervisor().host();
    if (request.cpus > static_cast<std::int64_t>(host.cpus))
        throw Error(Code::invalid,
                    fmt::format("--cpu {} is more than this host's {}", request.cpus, host.cpus),
                    fmt::format("give at most --cpu {}", host.cpus));
    if (request.memory_mib > static_cast<std::int64_t>(host.memory_mib))
        throw Error(
            Code::invalid,
            fmt::format("--memory {} is more than this host's {} MiB", request.memory_mib, host.memory_mib),
            fmt::format("give at most --memory {}", host.memory_mib));
}

void check_room(World& world, const Claimed& request) {
    const std::uint64_t host = world.hypervisor().host().memory_mib;
    const double limit =
        static_cast<double>(host > reserved_for_host_mib ? host - reserved_for_host_mib : 0) *
        world.config.memory_overcommit;
    const std::uint64_t promised = promised_mib(world, request.name);
    if (static_cast<double>(promised) + static_cast<double>(request.memory_mib) > limit)
        throw Error(
            Code::no_room,
            fmt::format("not enough memory for {}: {} asked, {} promised to other VMs, {} may be promised",
                        request.name.str(), figure_mib(static_cast<double>(request.memory_mib)),
                        figure_mib(static_cast<double>(promised)), figure_mib(limit)),
            "destroy a VM, ask for less, or raise memory_overcommit in db.yaml");
    const std::uint64_t free = free_bytes(world);
    if (request.written_bytes > free)
        throw Error(Code::no_room,
                    fmt::format("not enough room in pool {} for {}: it has {} of data, and {} are free",
                                world.pool, request.name.str(), text::human_bytes(request.written_bytes),
                                text::human_bytes(free)),
                    "free room on its file system");
    const double room = static_cast<double>(free) * world.config.disk_overcommit;
    const double disk = static_cast<double>(request.disk_gib) * static_cast<double>(gib);
    if (disk > room)
        throw Error(
            Code::no_room,
            fmt::format("not enough room in pool {} for {}: a disk of {} asked, {} free, times {:.4g}",
                        world.pool, request.name.str(), text::human_bytes(static_cast<std::uint64_t>(disk)),
                        text::human_bytes(free), world.config.disk_overcommit),
            "free room on its file system, ask for a smaller --disk, or raise disk_overcommit in db.yaml");
}

} // namespace blockhost::operations
