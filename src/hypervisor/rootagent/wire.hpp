#pragma once
/// Limits as they travel to the root agent: JSON that has exactly the fields that are given.

#include "hypervisor/hypervisor.hpp"

#include <boost/json/object.hpp>

namespace blockhost::rootagent {

boost::json::object to_json(const Tuning& tuning);
/// Throws Error{invalid} for a field that is no number of its kind; what is unknown is left out.
Tuning tuning_from(const boost::json::object& from);

std::string_view to_string(Hypervisor::Subsystem subsystem);
std::optional<Hypervisor::Subsystem> subsystem_named(std::string_view name);

} // namespace blockhost::rootagent
