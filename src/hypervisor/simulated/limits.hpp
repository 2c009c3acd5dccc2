#pragma once
/// The limits of a simulated domain, as the world's files spell them.

#include "hypervisor/figures.hpp"
#include "hypervisor/hypervisor.hpp"

#include <boost/json/object.hpp>

namespace blockhost::simulated {

/// As a host with cgroup v1 shows a domain that nobody limited.
Tuning unlimited();
/// What a domain runs with that starts with this definition.
Tuning started_with(const Tuning& definition);
/// As a definition shows that says nothing.
Tuning unsaid();

boost::json::object to_json(const Tuning& tuning);
/// Fields that are missing are as in `absent`.
Tuning tuning_from(const boost::json::object& object, std::string_view key, const Tuning& absent);

/// `tuning` with the given fields of one subsystem set.
void set(Tuning& tuning, Hypervisor::Subsystem subsystem, const Tuning& wanted);
std::string_view to_string(Hypervisor::Subsystem subsystem);

} // namespace blockhost::simulated
