// SPDX-License-Identifier: MIT
#pragma once
/// What a VM uses: figures of its domain, rates since the last sample, and its guest's word, within a second.

#include "hypervisor/hypervisor.hpp"
#include "metrics/sample.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace blockhost::metrics {

/// The figures of one VM as `metrics` prints them. -1: not known.
struct Metrics {
    double cpu_percent = 0; ///< one decimal, up to 100 for each virtual CPU
    std::int64_t cpu_count = 0;
    std::int64_t memory_used_mb = 0, memory_total_mb = 0;
    std::int64_t disk_used_mb = -1, disk_total_mb = 0;
    std::int64_t disk_read_iops = 0, disk_write_iops = 0, disk_read_bytes_sec = 0, disk_write_bytes_sec = 0;
    std::int64_t net_rx_bytes_sec = 0, net_tx_bytes_sec = 0;
    std::int64_t net_connections = -1;
    bool guest_agent_responsive = false;
    std::int64_t uptime_seconds = 0;
    std::string_view state = "unknown"; ///< running paused stopped unknown
    std::string state_reason = {};      ///< libvirt's, in words; may be empty
    bool operator==(const Metrics&) const = default;
};

/// What a guest has told of itself, now and recently.
struct GuestWord {
    bool answers = false;
    guest::SlowVitals slow; ///< as of now
};

/// Pure: the figures of a domain from its stats, rates and guest's word. `wall_clock_s` tells how old the
/// guest's word on its memory is.
Metrics metrics_of(const DomainStats& stats, const Rates& rates, const GuestWord& word,
                   std::uint64_t wall_clock_s);

/// What to ask a domain's agent; nothing when the domain does not run, or its QEMU hangs.
std::optional<guest::Depth> depth_for(const DomainStats& stats, const std::optional<Sample>& before,
                                      const SampleMoment& now);

/// What is known of the guest after the conversation with its agent.
GuestWord word_of(const DomainStats& stats, const std::optional<Sample>& before, const guest::Vitals& vitals,
                  const SampleMoment& now);
/// The sample to keep; nothing when the one that is there stays.
std::optional<Sample> next_sample(const DomainStats& stats, const std::optional<Sample>& before,
                                  const guest::Vitals& vitals, const SampleMoment& now);

/// One VM's row.
struct Reading {
    VmName name;
    std::optional<DomainStats> stats; ///< nothing: libvirt has no such domain
    Metrics metrics;
    std::string sample_problem; ///< why the sample could not be kept; empty: it was
};

/// Opens a connection for looking; several threads call it at once.
using OpenObserver = std::function<std::unique_ptr<Observer>()>;

/// Reads one VM's figures and keeps the sample in the folder `samples`, within about 1.4 s even when guest or
/// QEMU hang. Throws Error{not_found} when libvirt has no such domain, and the hypervisor's errors.
Reading read_metrics(const StatePlace& samples, const OpenObserver& open, const VmName& name);

/// The same for many VMs in one bulk call, in the order of `names`. Several threads ask the agents, within a
/// second in all. A VM without a domain has a row too.
std::vector<Reading> read_all_metrics(const StatePlace& samples, const OpenObserver& open,
                                      const std::vector<VmName>& names);

} // namespace blockhost::metrics
