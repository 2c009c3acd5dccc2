// SPDX-License-Identifier: MIT
#pragma once
/// What a verb remembers between its runs: one small JSON object in the state folder (gc.json, boot.json).
/// The file is outside text: what cannot be read counts as nothing.

#include "vm/context.hpp"

#include <boost/json/object.hpp>
#include <string>

namespace blockhost {

/// The object remembered in `file`; empty when there is nothing that can be read.
boost::json::object recall(const World& world, const std::string& file);

/// Replaces it durably. Throws Error{io}, and Error{busy} when another process holds the lock for 10 s.
void remember(const World& world, const std::string& file, const boost::json::object& what);

} // namespace blockhost
