// SPDX-License-Identifier: MIT
#pragma once
/// A plan becomes operations.

#include "agent/engine.hpp"
#include "agent/plan.hpp"

namespace blockhost::agent {

/// How the journal names the wishes of a generation.
std::string source_name(std::int64_t generation);

/// What was asked for, and what was not.
struct Asked {
    std::vector<execution::Id> operations; ///< in the plan's order
    std::vector<Remark> left;              ///< what has to be done by a person, or cannot be
};

/// Queues the plan's actions as wishes of the desired state; nothing is carried out. What needs a signature
/// is queued, too, and waits. What was asked for before and has not ended is not asked for again: it is
/// among the operations as it stands.
Asked ask_for(Engine& engine, const Plan& plan);

struct Looked {
    Observed observed;
    Plan plan;
};
/// Looks at the platform and compares: what plan and apply show, and the service asks for. `each` as observe
/// has it. Throws what require_fits and observe throw.
Looked look_and_plan(platform::Platform& platform, const platform::Host& host, const Desired& desired,
                     const std::function<void(std::size_t, std::size_t)>& each = {});

} // namespace blockhost::agent
