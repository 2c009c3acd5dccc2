#pragma once
/// What a verb remembers between its runs: one small JSON object in the state folder (gc.json, boot.json). It
/// is outside text: what cannot be read tells nothing.

#include "lifecycle/world.hpp"

#include <boost/json/object.hpp>
#include <string>

namespace blockhost {

/// What was remembered under that file name; empty when there is nothing that can be read.
boost::json::object recall(const World& world, const std::string& file);

/// Replaces it durably. Throws Error{io}, and Error{busy} when another process is at it for 10 s.
void remember(const World& world, const std::string& file, const boost::json::object& what);

} // namespace blockhost
