// SPDX-License-Identifier: MIT
#pragma once
/// Plans and hosts as JSON.

#include "agent/plan.hpp"

#include <boost/json/object.hpp>

namespace blockhost::agent {

/// The plan as a document. What happens to a guest is in it as often as there is an action.
boost::json::object as_json(const Plan& plan);

/// A host as a desired state that describes it.
struct Dumped {
    boost::json::object document; ///< a plan of it over the same host is empty
    /// What is not in it, and why: guests that cannot be read, names that no document may say.
    std::vector<Remark> left_out;
};
Dumped dump_desired(const Observed& observed, std::int64_t generation);

} // namespace blockhost::agent
