// SPDX-License-Identifier: MIT
#pragma once
/// A plan becomes operations.

#include "agent/engine.hpp"
#include "agent/plan.hpp"

namespace blockhost::agent {

/// What was asked for, and what was not.
struct Asked {
    std::vector<execution::Id> operations; ///< in the plan's order
    std::vector<Remark> left;              ///< what has to be done by a person, or cannot be
};

/// Queues the plan's actions as wishes of the desired state; nothing is carried out. What needs a signature
/// is queued, too, and waits. What was asked for before and has not ended is not asked for again: it is
/// among the operations as it stands.
Asked ask_for(Engine& engine, const Plan& plan);

} // namespace blockhost::agent
