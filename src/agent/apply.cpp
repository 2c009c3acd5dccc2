// SPDX-License-Identifier: MIT
#include "agent/apply.hpp"

#include "platform/action_json.hpp"

#include <algorithm>

namespace blockhost::agent {

using Verdict = PlannedAction::Verdict;

namespace {

/// The same wish of an earlier document, or of this one, that has not ended; nothing: there is none.
std::optional<execution::Id> asked_before(const std::vector<execution::Operation>& open,
                                          const PlannedAction& planned) {
    const auto found = std::ranges::find_if(open, [&](const execution::Operation& each) {
        return each.source.kind == execution::Source::Kind::desired && each.target == planned.target &&
               platform::to_json(each.action) == platform::to_json(*planned.action);
    });
    if (found == open.end()) return std::nullopt;
    return found->id;
}

} // namespace

std::string source_name(std::int64_t generation) {
    return "generation " + std::to_string(generation);
}

Asked ask_for(Engine& engine, const Plan& plan) {
    Asked asked;
    const auto open = engine.journal().open();
    const std::string source = source_name(plan.generation);
    for (const PlannedAction& planned : plan.actions) {
        const auto leave = [&](std::string what) {
            asked.left.push_back({planned.target.guest, std::move(what)});
        };
        if (planned.verdict == Verdict::impossible || !planned.action) {
            leave("not done: " + planned.why);
        } else if (const auto before = asked_before(open, planned)) {
            asked.operations.push_back(*before);
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

Looked look_and_plan(platform::Platform& platform, const platform::Host& host, const Desired& desired,
                     const std::function<void(std::size_t, std::size_t)>& each) {
    require_fits(desired, platform, host);
    Looked looked{observe(platform, host, desired, each), {}};
    looked.plan =
        make_plan(desired, looked.observed, [&](const platform::Action& action, platform::Kind kind) {
            return platform.refusal(action, kind);
        });
    return looked;
}

} // namespace blockhost::agent
