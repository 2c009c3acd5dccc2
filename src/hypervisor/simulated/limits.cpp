// SPDX-License-Identifier: MIT
/// See limits.hpp.

#include "hypervisor/simulated/limits.hpp"

#include "base/error.hpp"

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

namespace {

/// As libvirt does.
void refuse_what_does_not_go_together(const Tuning::Iops& iops) {
    if (iops.total != 0 && (iops.read != 0 || iops.write != 0))
        throw Error(Code::hypervisor, "total and read/write of iops_sec cannot be set at the same time");
    if ((iops.total == 0 && iops.total_max != 0) || (iops.read == 0 && iops.read_max != 0) ||
        (iops.write == 0 && iops.write_max != 0))
        throw Error(Code::hypervisor, "cannot reset 'iops_sec' when 'iops_sec_max' is set");
}

} // namespace

void set(Tuning& tuning, Subsystem subsystem, const Tuning& wanted) {
    switch (subsystem) {
    case Subsystem::cpu:
        if (wanted.cpu_shares) tuning.cpu_shares = wanted.cpu_shares;
        if (wanted.cpu_period) tuning.cpu_period = wanted.cpu_period;
        if (wanted.cpu_quota) tuning.cpu_quota = wanted.cpu_quota;
        return;
    case Subsystem::network:
        if (wanted.inbound) tuning.inbound = wanted.inbound;
        if (wanted.outbound) tuning.outbound = wanted.outbound;
        return;
    case Subsystem::disk:
        if (!wanted.iops) return;
        refuse_what_does_not_go_together(*wanted.iops);
        tuning.iops = wanted.iops;
    }
}

} // namespace blockhost::simulated
