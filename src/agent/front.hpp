// SPDX-License-Identifier: MIT
#pragma once
/// What stands before a verb of this program's own that can lose data.

#include "config/paths.hpp"

namespace blockhost::agent {

enum class Front {
    nothing,   ///< this host has no agent, or one for guests of another platform
    record,    ///< the agent's record: root's own shell is the operator
    signature, ///< an operator's signature: agent.json requires one of everybody
};

/// Whether the caller may look into the agent's folder, which is root's alone.
enum class Caller { root, other };

/// Looks at agent.json, and for root at the database; makes neither. Throws Error{config} for a file that
/// makes no sense or cannot be read, and store::StoreError for a damaged database.
Front front_of(const Paths& paths, Caller caller);

} // namespace blockhost::agent
