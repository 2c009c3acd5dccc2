// SPDX-License-Identifier: MIT
#pragma once
/// A VM's limits in the words of the command line, and their settings in libvirt. Pure.

#include "hypervisor/hypervisor.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::limits {

/// Nobody can ask for iops_total: it is an operator's own limit, and stands aside while iops_read or
/// iops_write is set.
enum class Limit { cpu_shares, cpu_quota, bandwidth_in, bandwidth_out, iops_read, iops_write, iops_total };

struct LimitRow {
    Limit limit;
    std::string_view option; ///< on the command line, without its dashes; empty: none
    std::string_view key;    ///< in JSON
    std::string_view title;  ///< the beginning of its lines
    std::string_view unit;   ///< after its number, with a blank where one belongs
    Subsystem subsystem;
    std::int64_t min, max; ///< what may be asked for
};
/// One row for each limit, in the order of applying and printing.
std::span<const LimitRow> limit_table();
const LimitRow& row_of(Limit limit);

/// A limit as libvirt keeps it. cpu_shares: {weight}. cpu_quota: {microseconds, of period}, {-1, period} for
/// no limit, {0, 0} where a definition says nothing. bandwidth: {average, peak, burst, floor} in kilobytes,
/// zeros for no limit. iops: {number, burst, seconds of burst}, zeros for no limit.
using Setting = std::array<std::int64_t, 4>;
using Settings = std::map<Limit, Setting>;

/// The weights of this host's scheduler.
struct CpuWeights {
    std::int64_t least = 1, usual = 100;
};

/// The setting for `value`, which is in the option's unit; 0 removes bandwidth and iops limits. Kilobits a
/// second become whole kilobytes, rounded up. The peak is the average. The burst is a tenth of a second, but
/// at least the largest packet that a guest hands over at once.
Setting setting_for(Limit limit, std::int64_t value, const CpuWeights& weights);
Setting no_limit(Limit limit, const CpuWeights& weights);
/// The value in the option's unit; nothing where there is no limit (a weight is always there).
std::optional<double> value_of(Limit limit, const Setting& setting);

/// What libvirt shows, without what it cannot tell. What a definition leaves out is the host's usual weight,
/// or no limit.
Settings settings_of(const Tuning& tuning, const CpuWeights& weights);

/// "CPU quota set to 50%", "IOPS read limit removed (unlimited)". `value` is what was asked for, if anything
/// was.
std::string change_line(Limit limit, const Setting& setting, std::optional<std::int64_t> value = {});
/// "50%", "1000 kbps", "unlimited".
std::string value_words(Limit limit, const Setting& setting);

/// What to set in one subsystem, in one call.
struct Change {
    Subsystem subsystem;
    Tuning tuning;
};
/// The changes from `current` to `wanted`; none where nothing differs. A change of disk limits contains both
/// IOPS, since libvirt removes the one that a call leaves out. A change of the quota contains the period.
std::vector<Change> plan(const Settings& wanted, const Settings& current);

} // namespace blockhost::limits
