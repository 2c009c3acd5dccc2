#pragma once
/// A VM's limits in the words of the command line, and what each becomes in libvirt. Pure.

#include "hypervisor/hypervisor.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

enum class Limit { cpu_shares, cpu_quota, bandwidth_in, bandwidth_out, iops_read, iops_write };

struct LimitRow {
    Limit limit;
    std::string_view option; ///< of the command line, without its dashes
    std::string_view key;    ///< in JSON
    std::string_view title;  ///< how its lines begin
    std::string_view unit;   ///< behind its number, with a blank where one belongs
    Hypervisor::Subsystem subsystem;
    std::int64_t min, max; ///< what may be asked for
};
/// One row for each limit, in the order in which they are applied and printed.
std::span<const LimitRow> limit_table();
const LimitRow& row_of(Limit limit);

/// A limit as libvirt keeps it. cpu_shares: {weight}; cpu_quota: {microseconds, of period}, {-1, 100000}
/// without a limit; bandwidth: {average, peak, burst} in kilobytes, zeros without; iops: {number}, 0 without.
using Setting = std::array<std::int64_t, 3>;
using Settings = std::map<Limit, Setting>;

/// The weights of this host's scheduler.
struct CpuWeights {
    std::int64_t least = 1, usual = 100;
};

/// What asking for `value` (in the option's unit; 0 takes bandwidth and iops limits away) means. Kilobits a
/// second become whole kilobytes, rounded up; the peak is the average, and the burst a tenth of a second but
/// not less than the largest packet that a guest hands over at once.
Setting setting_for(Limit limit, std::int64_t value, const CpuWeights& weights);
Setting no_limit(Limit limit, const CpuWeights& weights);
/// The value in the option's unit; nothing where there is no limit (a weight is always there).
std::optional<double> value_of(Limit limit, const Setting& setting);

/// What libvirt shows, less what it cannot tell. What a definition leaves unsaid is the host's usual weight,
/// or no limit.
Settings settings_of(const Tuning& tuning, const CpuWeights& weights);

/// "CPU quota set to 50%", "IOPS read limit removed (unlimited)". `value`: what was asked for, where somebody
/// asked.
std::string change_line(Limit limit, const Setting& setting, std::optional<std::int64_t> value = {});
/// "50%", "1000 kbps", "unlimited".
std::string value_words(Limit limit, const Setting& setting);

/// What to set in one subsystem, in one call.
struct Change {
    Hypervisor::Subsystem subsystem;
    Tuning tuning;
};
/// What leads from `current` to `wanted`; nothing where it is there already. Both IOPS are always in it,
/// since libvirt takes away the one that a call leaves out, and the period with the quota.
std::vector<Change> plan(const Settings& wanted, const Settings& current);

} // namespace blockhost
