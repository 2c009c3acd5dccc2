// SPDX-License-Identifier: MIT
#pragma once
/// Actions and targets as JSON objects, in documents that are kept, sent or signed.

#include "platform/action.hpp"

#include <boost/json/object.hpp>

namespace blockhost::platform {

/// An object whose member "kind" has the kind's word; the others are the action's, by the names of its
/// members (spans in seconds: "patience_s"). Optional ones are absent when they have no value.
boost::json::object to_json(const Action& action);
/// The action that to_json() wrote. Throws Error{invalid}, naming `where` and the member: for an unknown
/// kind, for a member that is missing or of a wrong type, and for one that such an action does not have.
Action action_from_json(const boost::json::value& value, const std::string& where);

/// {"guest": …, "incarnation": …}.
boost::json::object to_json(const Target& target);
Target target_from_json(const boost::json::value& value, const std::string& where);

/// {"name": …, …}: members that have no value, or their default, are absent.
boost::json::object to_json(const GuestConfig& config);
GuestConfig config_from_json(const boost::json::value& value, const std::string& where);

} // namespace blockhost::platform
