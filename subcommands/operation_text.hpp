// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs that carry operations out share: how they are told as they happen, and at a signal.

#include "cli/command.hpp"
#include "execution/operation.hpp"

namespace blockhost::subcommands {

/// A line for a change of it: what runs is a stage, what ended or waits for a signature is the answer.
void tell_operation(cli::Printer& printer, const execution::Operation& operation);

/// Whether a signal asked this process to end.
bool is_asked_to_end();
/// To be called when the work is over, with how its operations stand. Throws Error{interrupted} when a signal
/// ended it before all of them had ended or waited: the sentence says how many go on, and how many were not
/// begun.
void end_if_asked_to(cli::Printer& printer, const std::vector<execution::Operation>& all);

} // namespace blockhost::subcommands
