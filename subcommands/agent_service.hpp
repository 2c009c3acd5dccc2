// SPDX-License-Identifier: MIT
#pragma once
/// The parts of `agent` that are about its hub and its configuration. Each returns an exit status.

#include "agent/selftest.hpp"
#include "cli/command.hpp"

namespace blockhost::subcommands {

/// Goes on until a signal ends it.
int run_service(cli::Call& call);
/// One whole turn.
int run_once(cli::Call& call);
int print_config(cli::Call& call);
/// Throws Error{config} for a file that makes no sense.
int check_config(cli::Call& call, const std::string& file);
/// A report and an answer.
std::vector<agent::Check> try_hub(cli::Call& call);

} // namespace blockhost::subcommands
