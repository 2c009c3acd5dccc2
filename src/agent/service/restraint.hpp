// SPDX-License-Identifier: MIT
#pragma once
/// What a service that looks again and again does not ask for each time.

#include "agent/apply.hpp"

namespace blockhost::agent {

/// Takes out of a plan what should not be asked for now, each with a remark why:
/// - the start of a guest that was once seen to run in this generation: healing knows whether it crashed or
///   was switched off, and how often to try;
/// - what an operator rejected, as long as the generation stays;
/// - what failed: it is tried again after a minute, then twice as long each time, up to six hours.
/// Remembers which guests run as they are wanted.
std::vector<Remark> restrain(Plan& plan, const Desired& desired, const Observed& observed, Engine& engine,
                             Instant now);

} // namespace blockhost::agent
