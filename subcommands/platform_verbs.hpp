// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs of platforms and their operations share.

#include "agent/engine.hpp"
#include "cli/command.hpp"

#include <memory>

namespace blockhost::subcommands {

/// The platform of the call; a signal ends its waits.
std::unique_ptr<platform::Platform> open_platform(const cli::Call& call);
/// What carries out the operations of this host. `call` outlives it. Throws Error{denied} unless root calls,
/// whose alone the agent's database is; in a simulated world anybody may.
agent::Engine open_engine(const cli::Call& call);

} // namespace blockhost::subcommands
