// SPDX-License-Identifier: MIT
/// The pure half of metrics.hpp: makes figures from counters, samples and a guest's word.

#include "metrics/compute.hpp"

#include <algorithm>
#include <cmath>

namespace blockhost::metrics {

namespace {

constexpr std::uint64_t kib_per_mib = 1024;
constexpr std::uint64_t bytes_per_mib = 1024 * 1024;
/// How long the guest's slow values stand before they are asked for again.
constexpr double slow_fresh_s = 60;
/// How long they may still be shown when newer ones cannot be had.
constexpr double slow_shown_s = 600;
/// The guest tells its memory every ten seconds; a word older than this does not count.
constexpr std::uint64_t memory_fresh_s = 60;

std::string_view state_word(PowerState state) {
    switch (state) {
    case PowerState::running:
    case PowerState::stopping:
        return "running";
    case PowerState::paused:
        return "paused";
    case PowerState::off:
    case PowerState::crashed:
        return "stopped";
    case PowerState::unknown:
        break;
    }
    return "unknown";
}

bool is_up(const DomainStats& stats) {
    return stats.state == PowerState::running || stats.state == PowerState::stopping;
}

std::int64_t whole(double rate) {
    constexpr double most = 1ll << 53;
    return static_cast<std::int64_t>(std::llround(std::clamp(rate, 0.0, most)));
}

std::int64_t whole_units(std::uint64_t value, std::uint64_t unit) {
    return static_cast<std::int64_t>(value / unit); // below 2^63 for any unit we use
}

/// The memory that the guest says it uses; nothing when it does not say, said it long ago, or says nonsense.
std::optional<std::uint64_t> told_used_kib(const DomainStats& stats, std::uint64_t wall_clock_s) {
    const bool old = stats.memory_told_s && *stats.memory_told_s + memory_fresh_s < wall_clock_s;
    if (!stats.memory_available_kib || (old && stats.state != PowerState::paused)) return std::nullopt;
    const std::uint64_t available = *stats.memory_available_kib;
    if (available == 0 || available > stats.memory_max_kib) return std::nullopt;
    for (const auto& left : {stats.memory_usable_kib, stats.memory_unused_kib})
        if (left && *left <= available) return available - *left;
    return std::nullopt;
}

std::uint64_t used_kib(const DomainStats& stats, std::uint64_t wall_clock_s) {
    if (!stats.complete) return 0;
    const auto used = told_used_kib(stats, wall_clock_s);
    return std::min(used.value_or(stats.rss_kib.value_or(stats.memory_max_kib)), stats.memory_max_kib);
}

double percent(const DomainStats& stats, const Rates& rates) {
    const double most = 100.0 * stats.cpus;
    return std::round(std::clamp(rates.cpus * 100, 0.0, most) * 10) / 10;
}

/// The slow values of a sample, when they are of this run and less than `seconds` old.
std::optional<guest::SlowVitals> slow_within(const std::optional<Sample>& before, const DomainStats& stats,
                                             const SampleMoment& now, double seconds) {
    if (!before || !before->slow || !is_same_run(*before, stats, now)) return std::nullopt;
    const double age = now.seconds - before->slow_at;
    return age >= 0 && age < seconds ? before->slow : std::nullopt;
}

/// A guest's uptime grows whether or not the guest tells it: this run of the domain was not seen to end.
std::optional<std::int64_t> uptime_since(const std::optional<Sample>& before, const DomainStats& stats,
                                         const SampleMoment& now) {
    const auto slow = slow_within(before, stats, now, now.seconds + 1);
    if (!slow || !slow->uptime_s) return std::nullopt;
    return *slow->uptime_s + static_cast<std::int64_t>(now.seconds - before->slow_at);
}

} // namespace

Metrics metrics_of(const DomainStats& stats, const Rates& rates, const GuestWord& word,
                   std::uint64_t wall_clock_s) {
    Metrics m;
    m.state = state_word(stats.state);
    m.state_reason = stats.reason;
    if (m.state != "running" && m.state != "paused") return m;
    m.cpu_count = stats.cpus;
    m.memory_total_mb = whole_units(stats.memory_max_kib, kib_per_mib);
    m.memory_used_mb = whole_units(used_kib(stats, wall_clock_s), kib_per_mib);
    m.disk_total_mb = whole_units(stats.disk_capacity_bytes, bytes_per_mib);
    m.uptime_seconds = word.slow.uptime_s.value_or(stats.running_s.value_or(-1));
    if (!is_up(stats)) return m;
    m.cpu_percent = percent(stats, rates);
    m.disk_read_iops = whole(rates.reads);
    m.disk_write_iops = whole(rates.writes);
    m.disk_read_bytes_sec = whole(rates.read_bytes);
    m.disk_write_bytes_sec = whole(rates.write_bytes);
    m.net_rx_bytes_sec = whole(rates.received_bytes);
    m.net_tx_bytes_sec = whole(rates.sent_bytes);
    m.guest_agent_responsive = word.answers;
    if (!word.answers) return m;
    m.net_connections = word.slow.connections.value_or(-1);
    if (word.slow.disk_used_bytes)
        m.disk_used_mb = *word.slow.disk_used_bytes / static_cast<std::int64_t>(bytes_per_mib);
    return m;
}

std::optional<guest::Depth> depth_for(const DomainStats& stats, const std::optional<Sample>& before,
                                      const SampleMoment& now) {
    if (!is_up(stats) || !stats.complete) return std::nullopt;
    return slow_within(before, stats, now, slow_fresh_s) ? guest::Depth::ping : guest::Depth::all;
}

GuestWord word_of(const DomainStats& stats, const std::optional<Sample>& before, const guest::Vitals& vitals,
                  const SampleMoment& now) {
    GuestWord word{vitals.answers, vitals.slow};
    if (!vitals.looked) { // what was not asked for, or not answered in time, keeps its old value
        const auto old = slow_within(before, stats, now, slow_shown_s).value_or(guest::SlowVitals{});
        if (!word.slow.disk_used_bytes) word.slow.disk_used_bytes = old.disk_used_bytes;
        if (!word.slow.connections) word.slow.connections = old.connections;
        if (!word.slow.uptime_s) word.slow.uptime_s = uptime_since(before, stats, now);
    }
    return word;
}

std::optional<Sample> next_sample(const DomainStats& stats, const std::optional<Sample>& before,
                                  const guest::Vitals& vitals, const SampleMoment& now) {
    const bool measured = stats.complete && stats.id >= 0;
    if (!measured) return std::nullopt;
    const bool same = before && is_same_run(*before, stats, now);
    Sample next{now, stats.uuid, stats.id, Counters::of(stats), rates_since(before, stats, now), {}, 0, {}};
    next.left_open = vitals.left_open;
    if (same && is_too_soon(*before, now)) {
        next.at = before->at;
        next.counters = before->counters;
        next.rates = before->rates;
    }
    if (vitals.looked) {
        next.slow = vitals.slow;
        next.slow_at = now.seconds;
    } else if (same && is_up(stats)) { // a paused guest's clock stands still
        next.slow = before->slow;
        next.slow_at = before->slow_at;
    }
    const bool unchanged = same && next.at.seconds == before->at.seconds && next.slow == before->slow &&
                           next.slow_at == before->slow_at && next.left_open == before->left_open;
    return unchanged ? std::nullopt : std::optional(next);
}

} // namespace blockhost::metrics
