// SPDX-License-Identifier: MIT
#pragma once
/// Settings of a domain as JSON: in journals, and on their way to the root agent.

#include "hypervisor/xml/settings.hpp"

#include <boost/json/object.hpp>

namespace blockhost {

/// Exactly what is given.
boost::json::object to_json(const DomainSettings& settings);
/// Throws Error{invalid} for what has another type or no domain can say; what is unknown is left out.
DomainSettings settings_from(const boost::json::object& from);

} // namespace blockhost
