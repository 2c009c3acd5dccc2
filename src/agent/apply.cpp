// SPDX-License-Identifier: MIT
#include "agent/apply.hpp"

namespace blockhost::agent {

using Verdict = PlannedAction::Verdict;

Asked ask_for(Engine& engine, const Plan& plan) {
    Asked asked;
    const std::string source = "generation " + std::to_string(plan.generation);
    for (std::size_t i = 0; i < plan.actions.size(); ++i) {
        const PlannedAction& planned = plan.actions[i];
        const auto leave = [&](std::string what) {
            asked.left.push_back({planned.target.guest, std::move(what)});
        };
        if (planned.verdict == Verdict::impossible || !planned.action) {
            leave("not done: " + planned.why);
        } else if (planned.only_with_next && i + 1 < plan.actions.size() &&
                   plan.actions[i + 1].verdict != Verdict::benign) {
            leave("it is left running until what follows is approved: stop it then, and approve");
        } else {
            asked.operations.push_back(engine.journal()
                                           .submit({.source = {execution::Source::Kind::desired, source},
                                                    .target = planned.target,
                                                    .action = *planned.action})
                                           .operation.id);
        }
    }
    return asked;
}

} // namespace blockhost::agent
