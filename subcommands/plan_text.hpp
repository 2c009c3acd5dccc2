// SPDX-License-Identifier: MIT
#pragma once
/// What plan and apply share: a desired state that was given, its plan, and how that is shown.

#include "agent/plan.hpp"
#include "cli/command.hpp"

namespace blockhost::subcommands {

/// Reads the desired state of that file, and tells its warnings. Throws as agent::parse_desired, and
/// Error{not_found} when there is no such file.
agent::Desired read_desired(cli::Call& call, const std::string& file, const agent::Known& known = {});
/// Looks at the platform, and compares. Throws as agent::require_fits.
agent::Plan plan_for(cli::Call& call, platform::Platform& platform, const agent::Desired& desired);
/// The plan for people.
void print_plan(cli::Printer& printer, const agent::Plan& plan);

} // namespace blockhost::subcommands
