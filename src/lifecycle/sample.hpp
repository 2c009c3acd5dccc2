#pragma once
/// What metrics keeps of a VM between two calls: `<metrics>/NAME.json`.
///
/// The file can be written by others than root, and by several callers at once: it is outside text, and the
/// last writer wins. Its keys are documented in docs/contract.md.

#include "guest/vitals.hpp"
#include "hypervisor/figures.hpp"
#include "model/names.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost {

/// What of a Moment (base/boot_clock.hpp) a sample keeps: no clock setting moves it.
struct SampleMoment {
    std::string boot_id;
    double seconds = 0; ///< CLOCK_BOOTTIME
    /// Error{io} when the kernel does not tell its boot id.
    static SampleMoment now();
};

/// What a domain's counters stood at.
struct Counters {
    std::uint64_t cpu_time_ns = 0;
    std::uint64_t read_requests = 0, write_requests = 0, read_bytes = 0, write_bytes = 0;
    std::uint64_t received_bytes = 0, sent_bytes = 0;
    static Counters of(const DomainStats& stats);
    bool operator==(const Counters&) const = default;
};

/// Growth of the counters in a second. Never negative, always finite.
struct Rates {
    double cpus = 0; ///< seconds of CPU time a second
    double reads = 0, writes = 0, read_bytes = 0, write_bytes = 0, received_bytes = 0, sent_bytes = 0;
    bool operator==(const Rates&) const = default;
};

struct Sample {
    SampleMoment at;  ///< of the counters
    std::string uuid; ///< whose they are, and in which run of it
    int id = -1;
    Counters counters;
    Rates rates; ///< as they were at `at`
    std::optional<guest::SlowVitals> slow;
    double slow_at = 0; ///< seconds since boot
    std::optional<std::int64_t> left_open;
};

/// The rates between a sample and now. Over half a second or less the sample's own are still the best there
/// are. Zero when there is no sample of this run of the domain since the host's boot, or when a counter went
/// backwards (that one alone).
Rates rates_since(const std::optional<Sample>& before, const DomainStats& stats, const SampleMoment& now);
/// Whether `before` tells of the same run of the domain, not later than `now`.
bool is_same_run(const Sample& before, const DomainStats& stats, const SampleMoment& now);
/// Whether so little time has passed since `before` that its rates stand, and it stays the sample.
bool is_too_soon(const Sample& before, const SampleMoment& now);

/// Nothing when there is no such file, or it is none of ours that makes sense.
std::optional<Sample> read_sample(const std::filesystem::path& folder, const VmName& name);
/// Replaces it, making the folder at first need. Throws Error{io}.
void write_sample(const std::filesystem::path& folder, const VmName& name, const Sample& sample);

} // namespace blockhost
