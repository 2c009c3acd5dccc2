/// See limits.hpp.

#include "hypervisor/simulated/limits.hpp"

#include <boost/json/value_to.hpp>

namespace blockhost::simulated {
namespace {

namespace bj = boost::json;

bj::object bandwidth_json(const Tuning::Bandwidth& b) {
    return {{"average", b.average}, {"peak", b.peak}, {"burst", b.burst}};
}

template<class Number>
void take(const bj::object& from, std::string_view key, std::optional<Number>& into) {
    if (auto value = from.if_contains(key); value && value->is_number()) into = value->to_number<Number>();
}

std::uint32_t part(const bj::object& from, std::string_view key) {
    std::optional<std::uint32_t> number;
    take(from, key, number);
    return number.value_or(0);
}

void take(const bj::object& from, std::string_view key, std::optional<Tuning::Bandwidth>& into) {
    if (auto value = from.if_contains(key); value && value->is_object()) {
        const auto& numbers = value->get_object();
        into = Tuning::Bandwidth{part(numbers, "average"), part(numbers, "peak"), part(numbers, "burst")};
    }
}

} // namespace

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

bj::object to_json(const Tuning& tuning) {
    bj::object object;
    if (tuning.cpu_shares) object["cpu_shares"] = *tuning.cpu_shares;
    if (tuning.cpu_period) object["cpu_period"] = *tuning.cpu_period;
    if (tuning.cpu_quota) object["cpu_quota"] = *tuning.cpu_quota;
    if (tuning.inbound) object["inbound"] = bandwidth_json(*tuning.inbound);
    if (tuning.outbound) object["outbound"] = bandwidth_json(*tuning.outbound);
    if (tuning.iops) {
        object["iops_read"] = tuning.iops->read;
        object["iops_write"] = tuning.iops->write;
    }
    return object;
}

Tuning tuning_from(const bj::object& object, std::string_view key, const Tuning& absent) {
    Tuning tuning = absent;
    auto value = object.if_contains(key);
    if (!value || !value->is_object()) return tuning;
    const auto& from = value->get_object();
    take(from, "cpu_shares", tuning.cpu_shares);
    take(from, "cpu_period", tuning.cpu_period);
    take(from, "cpu_quota", tuning.cpu_quota);
    take(from, "inbound", tuning.inbound);
    take(from, "outbound", tuning.outbound);
    std::optional<std::uint64_t> read, write;
    take(from, "iops_read", read);
    take(from, "iops_write", write);
    if (read || write) tuning.iops = Tuning::Iops{read.value_or(0), write.value_or(0)};
    return tuning;
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

std::string_view to_string(Hypervisor::Subsystem subsystem) {
    switch (subsystem) {
    case Hypervisor::Subsystem::cpu:
        return "cpu";
    case Hypervisor::Subsystem::network:
        return "network";
    case Hypervisor::Subsystem::disk:
        return "disk";
    }
    return "?";
}

} // namespace blockhost::simulated
