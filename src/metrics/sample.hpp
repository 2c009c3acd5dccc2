// SPDX-License-Identifier: MIT
#pragma once
/// What metrics keeps of a VM between two calls: `<metrics>/NAME.json`.
///
/// Users other than root can write the file, and several callers at once: it is outside text, and the last
/// writer wins. docs/contract.md documents its keys.

#include "base/files/state_folder.hpp"
#include "guest/vitals.hpp"
#include "hypervisor/common/stats.hpp"
#include "model/names.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::metrics {

/// The part of a Moment (base/boot_clock.hpp) that a sample keeps: setting the clock does not move it.
struct SampleMoment {
    std::string boot_id;
    double seconds = 0; ///< CLOCK_BOOTTIME
    /// Throws Error{io} when the kernel does not tell its boot id.
    static SampleMoment now();
};

/// The values of a domain's counters.
struct Counters {
    std::uint64_t cpu_time_ns = 0;
    std::uint64_t read_requests = 0, write_requests = 0, read_bytes = 0, write_bytes = 0;
    std::uint64_t received_bytes = 0, sent_bytes = 0;
    static Counters of(const DomainStats& stats);
    bool operator==(const Counters&) const = default;
};

/// Growth of the counters per second. Never negative, always finite.
struct Rates {
    double cpus = 0; ///< seconds of CPU time per second
    double reads = 0, writes = 0, read_bytes = 0, write_bytes = 0, received_bytes = 0, sent_bytes = 0;
    bool operator==(const Rates&) const = default;
};

struct Sample {
    SampleMoment at;  ///< when the counters were read
    std::string uuid; ///< of the domain; `id` tells which run of it
    int id = -1;
    Counters counters;
    Rates rates; ///< the rates at `at`
    std::optional<guest::SlowVitals> slow;
    double slow_at = 0; ///< seconds since boot
    std::optional<std::int64_t> left_open;
};

/// The rates between a sample and now. For a sample at most half a second old, its own rates stand. Zero when
/// there is no sample of this run of the domain since the host's boot; a counter that went backwards is zero
/// alone.
Rates rates_since(const std::optional<Sample>& before, const DomainStats& stats, const SampleMoment& now);
/// Whether `before` is of the same run of the domain, and not later than `now`.
bool is_same_run(const Sample& before, const DomainStats& stats, const SampleMoment& now);
/// Whether `before` is so recent that its rates stand, and it stays the sample.
bool is_too_soon(const Sample& before, const SampleMoment& now);

/// Nothing when there is no such file, or its content makes no sense.
std::optional<Sample> read_sample(const StatePlace& place, const VmName& name);
/// Replaces the sample; makes the folder at first need. Throws Error{io}.
void write_sample(const StatePlace& place, const VmName& name, const Sample& sample);

} // namespace blockhost::metrics
