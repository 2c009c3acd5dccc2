// SPDX-License-Identifier: MIT
#pragma once
/// What a domain uses, and what it may use: plain structs that cross the driver's border.

#include "model/vm.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace blockhost {

/// One domain's counters and sizes, as the bulk stats call gives them. Counters grow from the domain's start;
/// a domain that is off has only its state (and what libvirt knows of its sizes).
struct DomainStats {
    std::string name, uuid;
    int id = -1; ///< libvirt's number of this run of the domain; -1 when it is off
    PowerState state = PowerState::unknown;
    std::string reason;                    ///< of the state, in words; see Power
    std::optional<std::int64_t> running_s; ///< since its QEMU began, where this host can tell
    std::uint64_t cpu_time_ns = 0;
    unsigned cpus = 1;                ///< current virtual CPUs, else the most it may have, else 1
    std::uint64_t memory_max_kib = 0; ///< what the balloon may give it
    std::optional<std::uint64_t> memory_available_kib, memory_unused_kib, memory_usable_kib; ///< guest's word
    std::optional<std::uint64_t> memory_told_s; ///< when the guest last said so, in seconds since the epoch
    std::optional<std::uint64_t> rss_kib;       ///< of the QEMU process
    std::uint64_t disk_capacity_bytes = 0;      ///< of the first disk
    std::uint64_t read_requests = 0, write_requests = 0, read_bytes = 0, write_bytes = 0; ///< all disks
    std::uint64_t received_bytes = 0, sent_bytes = 0; ///< all interfaces, as the guest sees them
    /// false: libvirt told what it knows without QEMU, because the domain's monitor is busy: counters of
    /// disks and figures of memory in use are missing then.
    bool complete = true;
};

/// Limits of one domain. Nothing in a field means: not asked for, or not known.
struct Tuning {
    /// Kilobytes (1024) a second and, for burst, kilobytes. All zero: no limit.
    struct Bandwidth {
        std::uint32_t average = 0, peak = 0, burst = 0;
        std::uint32_t floor = 0; ///< a share that is kept for it, inbound alone
        bool operator==(const Bandwidth&) const = default;
    };
    struct Iops {
        std::uint64_t read = 0, write = 0; ///< operations a second; 0: no limit
        std::uint64_t total = 0;           ///< of both; libvirt takes it beside none of the two
        /// What a burst may reach, of a limit above, and for how many seconds (0: libvirt's usual).
        std::uint64_t read_max = 0, write_max = 0, total_max = 0;
        std::uint64_t read_length = 0, write_length = 0, total_length = 0;
        bool operator==(const Iops&) const = default;
    };
    std::optional<std::uint64_t> cpu_shares; ///< 0, in a definition: says nothing, so the host's default
    std::optional<std::uint64_t> cpu_period; ///< microseconds; 0, in a definition: says nothing
    /// Microseconds of each period, for each virtual CPU; below 1: no limit.
    std::optional<std::int64_t> cpu_quota;
    std::optional<Bandwidth> inbound, outbound; ///< of the first interface; inbound: towards the guest
    std::optional<Iops> iops;                   ///< of the first disk
    bool operator==(const Tuning&) const = default;
};

/// By what a domain's tunable devices are called; empty: it has none. The same in its definition and while it
/// runs.
struct TunedDevices {
    std::string mac;  ///< of the first interface
    std::string disk; ///< target of the first disk ("vda")
};

/// What of a domain is limited together, in one call: its CPU (shares, period, quota), network or disk.
enum class Subsystem { cpu, network, disk };

/// Which of a domain's two settings: those it runs with, or those of its definition.
enum class TuningOf { running, definition };

} // namespace blockhost
