/// See limits.hpp.

#include "hypervisor/simulated/limits.hpp"

namespace blockhost::simulated {
Tuning unlimited() {
    Tuning tuning = unsaid();
    tuning.cpu_shares = 1024;
    tuning.cpu_period = 100000;
    tuning.cpu_quota = -1;
    return tuning;
}

Tuning unsaid() {
    Tuning tuning;
    tuning.cpu_shares = 0;
    tuning.cpu_period = 0;
    tuning.cpu_quota = 0;
    tuning.inbound = tuning.outbound = Tuning::Bandwidth{};
    tuning.iops = Tuning::Iops{};
    return tuning;
}

Tuning started_with(const Tuning& definition) {
    Tuning tuning = definition;
    const Tuning usual = unlimited();
    if (tuning.cpu_shares.value_or(0) == 0) tuning.cpu_shares = usual.cpu_shares;
    if (tuning.cpu_period.value_or(0) == 0) tuning.cpu_period = usual.cpu_period;
    if (tuning.cpu_quota.value_or(0) == 0) tuning.cpu_quota = usual.cpu_quota;
    return tuning;
}

Tuning tuning_in(const boost::json::object& object, std::string_view key, const Tuning& absent) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_object() ? tuning_from(value->get_object(), absent) : absent;
}

void set(Tuning& tuning, Hypervisor::Subsystem subsystem, const Tuning& wanted) {
    switch (subsystem) {
    case Hypervisor::Subsystem::cpu:
        if (wanted.cpu_shares) tuning.cpu_shares = wanted.cpu_shares;
        if (wanted.cpu_period) tuning.cpu_period = wanted.cpu_period;
        if (wanted.cpu_quota) tuning.cpu_quota = wanted.cpu_quota;
        return;
    case Hypervisor::Subsystem::network:
        if (wanted.inbound) tuning.inbound = wanted.inbound;
        if (wanted.outbound) tuning.outbound = wanted.outbound;
        return;
    case Hypervisor::Subsystem::disk:
        if (wanted.iops) tuning.iops = wanted.iops;
    }
}

} // namespace blockhost::simulated
