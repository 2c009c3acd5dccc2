// SPDX-License-Identifier: MIT
#pragma once
/// What host, guests, task and agent share.

#include "cli/command.hpp"
#include "platform/platform.hpp"

#include <memory>

namespace blockhost::subcommands {

/// The platform of the call; a signal ends its waits.
std::unique_ptr<platform::Platform> open_platform(const cli::Call& call);

} // namespace blockhost::subcommands
