/// See tuning_json.hpp.

#include "hypervisor/tuning_json.hpp"

#include "base/error.hpp"

#include <boost/json/value_to.hpp>

namespace blockhost {

namespace {

namespace bj = boost::json;

template<class Number>
void take(const bj::object& from, std::string_view key, std::optional<Number>& into) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr) return;
    boost::system::error_code error;
    into = value->to_number<Number>(error);
    if (error) throw Error(Code::invalid, std::string(key) + " is not a number in its range");
}

std::uint32_t part(const bj::object& from, std::string_view key) {
    std::optional<std::uint32_t> number;
    take(from, key, number);
    return number.value_or(0);
}

void take(const bj::object& from, std::string_view key, std::optional<Tuning::Bandwidth>& into) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr) return;
    const bj::object* side = value->if_object();
    if (side == nullptr) throw Error(Code::invalid, std::string(key) + " is not an object");
    into = Tuning::Bandwidth{part(*side, "average"), part(*side, "peak"), part(*side, "burst")};
}

bj::object bandwidth_json(const Tuning::Bandwidth& side) {
    return {{"average", side.average}, {"peak", side.peak}, {"burst", side.burst}};
}

} // namespace

bj::object to_json(const Tuning& tuning) {
    bj::object all;
    if (tuning.cpu_shares) all["cpu_shares"] = *tuning.cpu_shares;
    if (tuning.cpu_period) all["cpu_period"] = *tuning.cpu_period;
    if (tuning.cpu_quota) all["cpu_quota"] = *tuning.cpu_quota;
    if (tuning.inbound) all["inbound"] = bandwidth_json(*tuning.inbound);
    if (tuning.outbound) all["outbound"] = bandwidth_json(*tuning.outbound);
    if (tuning.iops) {
        all["iops_read"] = tuning.iops->read;
        all["iops_write"] = tuning.iops->write;
    }
    return all;
}

Tuning tuning_from(const bj::object& from, const Tuning& absent) {
    Tuning tuning = absent;
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

std::optional<Hypervisor::Subsystem> subsystem_named(std::string_view name) {
    for (const auto subsystem :
         {Hypervisor::Subsystem::cpu, Hypervisor::Subsystem::network, Hypervisor::Subsystem::disk})
        if (to_string(subsystem) == name) return subsystem;
    return std::nullopt;
}

} // namespace blockhost
