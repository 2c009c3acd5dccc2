// SPDX-License-Identifier: MIT
#pragma once
/// Limits as JSON: in the simulated world's files, and on their way to the root agent.

#include "hypervisor/common/stats.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <string_view>

namespace blockhost {

/// Exactly the fields that are given.
boost::json::object to_json(const Tuning& tuning);
/// Fields that are missing are as in `absent`. Throws Error{invalid} for one that is no number of its kind;
/// what is unknown is left out.
Tuning tuning_from(const boost::json::object& from, const Tuning& absent = {});

std::string_view to_string(Subsystem subsystem);
std::optional<Subsystem> subsystem_named(std::string_view name);

} // namespace blockhost
