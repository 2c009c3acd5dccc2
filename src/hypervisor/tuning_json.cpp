// SPDX-License-Identifier: MIT
/// See tuning_json.hpp.

#include "hypervisor/tuning_json.hpp"

#include "base/error.hpp"

#include <boost/json/value_to.hpp>
#include <utility>

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
    into = Tuning::Bandwidth{part(*side, "average"), part(*side, "peak"), part(*side, "burst"),
                             part(*side, "floor")};
}

/// What an operator may have beside the two that every limit of ours sets.
constexpr std::pair<std::string_view, std::uint64_t Tuning::Iops::*> further_iops[] = {
    {"iops_total", &Tuning::Iops::total},
    {"iops_read_max", &Tuning::Iops::read_max},
    {"iops_write_max", &Tuning::Iops::write_max},
    {"iops_total_max", &Tuning::Iops::total_max},
    {"iops_read_length", &Tuning::Iops::read_length},
    {"iops_write_length", &Tuning::Iops::write_length},
    {"iops_total_length", &Tuning::Iops::total_length},
};

bj::object bandwidth_json(const Tuning::Bandwidth& side) {
    bj::object all{{"average", side.average}, {"peak", side.peak}, {"burst", side.burst}};
    if (side.floor != 0) all["floor"] = side.floor;
    return all;
}

} // namespace

bj::object to_json(const Tuning& tuning) {
    bj::object all;
    if (tuning.cpu_shares) all["cpu_shares"] = *tuning.cpu_shares;
    if (tuning.cpu_period) all["cpu_period"] = *tuning.cpu_period;
    if (tuning.cpu_quota) all["cpu_quota"] = *tuning.cpu_quota;
    if (tuning.inbound) all["inbound"] = bandwidth_json(*tuning.inbound);
    if (tuning.outbound) all["outbound"] = bandwidth_json(*tuning.outbound);
    if (!tuning.iops) return all;
    all["iops_read"] = tuning.iops->read;
    all["iops_write"] = tuning.iops->write;
    for (const auto& [key, member] : further_iops)
        if ((*tuning.iops).*member != 0) all[key] = (*tuning.iops).*member;
    return all;
}

Tuning tuning_from(const bj::object& from, const Tuning& absent) {
    Tuning tuning = absent;
    take(from, "cpu_shares", tuning.cpu_shares);
    take(from, "cpu_period", tuning.cpu_period);
    take(from, "cpu_quota", tuning.cpu_quota);
    take(from, "inbound", tuning.inbound);
    take(from, "outbound", tuning.outbound);
    Tuning::Iops iops;
    bool said = false;
    const auto take_into = [&](std::string_view key, std::uint64_t& member) {
        std::optional<std::uint64_t> number;
        take(from, key, number);
        said = said || number;
        member = number.value_or(0);
    };
    take_into("iops_read", iops.read);
    take_into("iops_write", iops.write);
    for (const auto& [key, member] : further_iops) take_into(key, iops.*member);
    if (said) tuning.iops = iops;
    return tuning;
}

std::string_view to_string(Subsystem subsystem) {
    switch (subsystem) {
    case Subsystem::cpu:
        return "cpu";
    case Subsystem::network:
        return "network";
    case Subsystem::disk:
        return "disk";
    }
    return "?";
}

std::optional<Subsystem> subsystem_named(std::string_view name) {
    for (const auto subsystem : {Subsystem::cpu, Subsystem::network, Subsystem::disk})
        if (to_string(subsystem) == name) return subsystem;
    return std::nullopt;
}

} // namespace blockhost
