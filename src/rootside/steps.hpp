// SPDX-License-Identifier: MIT
#pragma once
/// The action vm-step (docs/contract.md, "Root agent"): carries out single calls of an operation. The
/// operation's steps, journal and verdicts stay with its own process.

#include "vm/context.hpp"

#include <boost/json/object.hpp>

namespace blockhost::root {

/// Carries out the step that `parameters` name; returns the members of its reply. Throws as carry_out
/// (root_actions.hpp).
boost::json::object carry_out_step(World& world, const boost::json::object& parameters);

} // namespace blockhost::root
