/// See wire.hpp.

#include "hypervisor/rootagent/wire.hpp"

#include "base/error.hpp"

#include <boost/json/value_to.hpp>

namespace blockhost::rootagent {

namespace {

namespace bj = boost::json;

/// The member as a number that fits; nothing when it is absent.
template<class Number>
std::optional<Number> number(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code error;
    const auto result = value->to_number<Number>(error);
    if (error) throw Error(Code::invalid, std::string(key) + " is not a number in its range");
    return result;
}

bj::object to_json(const Tuning::Bandwidth& side) {
    return {{"average", side.average}, {"peak", side.peak}, {"burst", side.burst}};
}

std::optional<Tuning::Bandwidth> bandwidth(const bj::object& from, std::string_view key) {
    const bj::value* value = from.if_contains(key);
    if (value == nullptr) return std::nullopt;
    const bj::object* side = value->if_object();
    if (side == nullptr) throw Error(Code::invalid, std::string(key) + " is not an object");
    return Tuning::Bandwidth{number<std::uint32_t>(*side, "average").value_or(0),
                             number<std::uint32_t>(*side, "peak").value_or(0),
                             number<std::uint32_t>(*side, "burst").value_or(0)};
}

} // namespace

bj::object to_json(const Tuning& tuning) {
    bj::object all;
    if (tuning.cpu_shares) all["cpu_shares"] = *tuning.cpu_shares;
    if (tuning.cpu_period) all["cpu_period"] = *tuning.cpu_period;
    if (tuning.cpu_quota) all["cpu_quota"] = *tuning.cpu_quota;
    if (tuning.inbound) all["inbound"] = to_json(*tuning.inbound);
    if (tuning.outbound) all["outbound"] = to_json(*tuning.outbound);
    if (tuning.iops) all["iops"] = bj::object{{"read", tuning.iops->read}, {"write", tuning.iops->write}};
    return all;
}

Tuning tuning_from(const bj::object& from) {
    Tuning tuning;
    tuning.cpu_shares = number<std::uint64_t>(from, "cpu_shares");
    tuning.cpu_period = number<std::uint64_t>(from, "cpu_period");
    tuning.cpu_quota = number<std::int64_t>(from, "cpu_quota");
    tuning.inbound = bandwidth(from, "inbound");
    tuning.outbound = bandwidth(from, "outbound");
    if (const bj::value* iops = from.if_contains("iops"); iops != nullptr && iops->is_object())
        tuning.iops = Tuning::Iops{number<std::uint64_t>(iops->get_object(), "read").value_or(0),
                                   number<std::uint64_t>(iops->get_object(), "write").value_or(0)};
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
    return "";
}

std::optional<Hypervisor::Subsystem> subsystem_named(std::string_view name) {
    for (const auto subsystem :
         {Hypervisor::Subsystem::cpu, Hypervisor::Subsystem::network, Hypervisor::Subsystem::disk})
        if (to_string(subsystem) == name) return subsystem;
    return std::nullopt;
}

} // namespace blockhost::rootagent
