// SPDX-License-Identifier: MIT
/// See limits.hpp.

#include "limits/limits.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace blockhost::limits {

namespace {

constexpr std::int64_t period_us = 100'000;
constexpr std::int64_t largest_packet_kb = 64; ///< with segmentation left to the host
constexpr std::int64_t bits = 8;
/// libvirt counts kilobytes a second in 32 bits, and takes this many IO operations at most.
constexpr std::int64_t most_kbps = std::numeric_limits<std::uint32_t>::max() * bits;
constexpr std::int64_t most_iops = 1'000'000'000'000'000;

constexpr std::array<LimitRow, 7> rows{{
    {Limit::cpu_shares, "cpu-shares", "cpu_shares", "CPU shares", "", Subsystem::cpu, 1, 10000},
    {Limit::cpu_quota, "cpu-quota", "cpu_quota", "CPU quota", "%", Subsystem::cpu, 1, 100},
    {Limit::bandwidth_in, "bandwidth-in", "bandwidth_in", "Bandwidth inbound", " kbps", Subsystem::network, 0,
     most_kbps},
    {Limit::bandwidth_out, "bandwidth-out", "bandwidth_out", "Bandwidth outbound", " kbps",
     Subsystem::network, 0, most_kbps},
    {Limit::iops_read, "iops-read", "iops_read", "IOPS read", "", Subsystem::disk, 0, most_iops},
    {Limit::iops_write, "iops-write", "iops_write", "IOPS write", "", Subsystem::disk, 0, most_iops},
    {Limit::iops_total, "", "iops_total", "IOPS total", "", Subsystem::disk, 0, most_iops},
}};

bool is_bandwidth(Limit limit) {
    return limit == Limit::bandwidth_in || limit == Limit::bandwidth_out;
}

Setting bandwidth_setting(std::int64_t kbps) {
    if (kbps == 0) return {};
    const std::int64_t average = kbps / bits + (kbps % bits != 0 ? 1 : 0);
    return {average, average, std::max(largest_packet_kb, average / 10)};
}

Setting bandwidth_setting(const Tuning::Bandwidth& bandwidth) {
    if (bandwidth.average == 0) return {0, 0, 0, bandwidth.floor};
    return {bandwidth.average, bandwidth.peak, bandwidth.burst, bandwidth.floor};
}

Tuning::Bandwidth bandwidth_of(const Setting& setting) {
    return {static_cast<std::uint32_t>(setting[0]), static_cast<std::uint32_t>(setting[1]),
            static_cast<std::uint32_t>(setting[2]), static_cast<std::uint32_t>(setting[3])};
}

using IopsMembers = std::array<std::uint64_t Tuning::Iops::*, 3>;

/// In the order of a Setting.
const IopsMembers& members_of(Limit limit) {
    using Iops = Tuning::Iops;
    static constexpr IopsMembers read{&Iops::read, &Iops::read_max, &Iops::read_length},
        write{&Iops::write, &Iops::write_max, &Iops::write_length},
        total{&Iops::total, &Iops::total_max, &Iops::total_length};
    return limit == Limit::iops_read ? read : limit == Limit::iops_write ? write : total;
}

Setting iops_setting(Limit limit, const Tuning::Iops& iops) {
    Setting setting{};
    const IopsMembers& members = members_of(limit);
    for (std::size_t i = 0; i < members.size(); ++i) setting[i] = static_cast<std::int64_t>(iops.*members[i]);
    return setting;
}

void put(Tuning& tuning, Limit limit, const Setting& setting) {
    switch (limit) {
    case Limit::cpu_shares:
        tuning.cpu_shares = static_cast<std::uint64_t>(setting[0]);
        return;
    case Limit::cpu_quota:
        tuning.cpu_quota = setting[0];
        tuning.cpu_period = static_cast<std::uint64_t>(setting[1]);
        return;
    case Limit::bandwidth_in:
        tuning.inbound = bandwidth_of(setting);
        return;
    case Limit::bandwidth_out:
        tuning.outbound = bandwidth_of(setting);
        return;
    default:
        if (!tuning.iops) tuning.iops = Tuning::Iops{};
        const IopsMembers& members = members_of(limit);
        for (std::size_t i = 0; i < members.size(); ++i)
            (*tuning.iops).*members[i] = static_cast<std::uint64_t>(setting[i]);
    }
}

/// "12", "12.5".
std::string number_words(double number) {
    const auto whole = static_cast<std::int64_t>(number);
    return static_cast<double>(whole) == number ? std::to_string(whole) : fmt::format("{:.4g}", number);
}

bool differs(const Settings& current, Limit limit, const Setting& wanted) {
    const auto found = current.find(limit);
    return found == current.end() || found->second != wanted;
}

} // namespace

std::span<const LimitRow> limit_table() {
    return rows;
}

const LimitRow& row_of(Limit limit) {
    return rows[static_cast<std::size_t>(limit)];
}

Setting setting_for(Limit limit, std::int64_t value, const CpuWeights& weights) {
    switch (limit) {
    case Limit::cpu_shares:
        return {std::max(value, weights.least)};
    case Limit::cpu_quota:
        return {value * period_us / 100, period_us};
    case Limit::bandwidth_in:
    case Limit::bandwidth_out:
        return bandwidth_setting(value);
    default:
        return {value};
    }
}

Setting no_limit(Limit limit, const CpuWeights& weights) {
    if (limit == Limit::cpu_shares) return {weights.usual};
    if (limit == Limit::cpu_quota) return {-1, period_us};
    return {};
}

std::optional<double> value_of(Limit limit, const Setting& setting) {
    const auto first = static_cast<double>(setting[0]);
    if (limit == Limit::cpu_shares) return first;
    if (setting[0] < 1) return std::nullopt;
    if (limit == Limit::cpu_quota)
        return first * 100 / static_cast<double>(std::max<std::int64_t>(1, setting[1]));
    return is_bandwidth(limit) ? first * bits : first;
}

Settings settings_of(const Tuning& tuning, const CpuWeights& weights) {
    Settings all;
    if (tuning.cpu_shares)
        all[Limit::cpu_shares] = {*tuning.cpu_shares == 0 ? weights.usual
                                                          : static_cast<std::int64_t>(*tuning.cpu_shares)};
    if (tuning.cpu_quota) {
        const auto period = static_cast<std::int64_t>(tuning.cpu_period.value_or(0));
        const bool unsaid = *tuning.cpu_quota == 0 && period == 0;
        if (unsaid)
            all[Limit::cpu_quota] = {};
        else
            all[Limit::cpu_quota] = {*tuning.cpu_quota < 1 ? -1 : *tuning.cpu_quota,
                                     period == 0 ? period_us : period};
    }
    if (tuning.inbound) all[Limit::bandwidth_in] = bandwidth_setting(*tuning.inbound);
    if (tuning.outbound) all[Limit::bandwidth_out] = bandwidth_setting(*tuning.outbound);
    if (tuning.iops)
        for (const Limit limit : {Limit::iops_read, Limit::iops_write, Limit::iops_total})
            all[limit] = iops_setting(limit, *tuning.iops);
    return all;
}

std::string change_line(Limit limit, const Setting& setting, std::optional<std::int64_t> value) {
    const LimitRow& row = row_of(limit);
    const auto number = value_of(limit, setting);
    if (!number && limit == Limit::cpu_quota) return fmt::format("{} removed (unlimited)", row.title);
    if (!number) return fmt::format("{} limit removed (unlimited)", row.title);
    // The rounding up to kilobytes is our own and not shown; a weight other than the one asked for is the
    // host's.
    const bool as_asked = value && limit != Limit::cpu_shares;
    return fmt::format("{} set to {}{}", row.title, as_asked ? std::to_string(*value) : number_words(*number),
                       row.unit);
}

std::string value_words(Limit limit, const Setting& setting) {
    const auto number = value_of(limit, setting);
    return number ? number_words(*number) + std::string(row_of(limit).unit) : "unlimited";
}

std::vector<Change> plan(const Settings& wanted, const Settings& current) {
    std::vector<Change> changes;
    for (const Subsystem subsystem : {Subsystem::cpu, Subsystem::network, Subsystem::disk}) {
        Change change{subsystem, {}};
        bool needed = false;
        if (subsystem == Subsystem::disk)
            for (const auto& [limit, setting] : current)
                if (row_of(limit).subsystem == subsystem) put(change.tuning, limit, setting);
        for (const auto& [limit, setting] : wanted) {
            if (row_of(limit).subsystem != subsystem) continue;
            const bool different = differs(current, limit, setting);
            if (different || subsystem == Subsystem::disk) put(change.tuning, limit, setting);
            needed = needed || different;
        }
        if (needed) changes.push_back(std::move(change));
    }
    return changes;
}

} // namespace blockhost::limits
