// SPDX-License-Identifier: MIT
#pragma once
/// What a host tells its hub: docs/hub.md, data/schemas/hub-report.schema.json.

#include "agent/engine.hpp"
#include "agent/plan.hpp"
#include "agent/service/troubles.hpp"
#include "hub/outbox.hpp"

#include <boost/json/object.hpp>

namespace blockhost::agent {

/// What the last look at the followed desired state found.
struct Standing {
    std::int64_t generation = 0;
    bool is_converged = false;
    std::vector<Remark> left, unknown;
    Instant looked;
};

/// What a report says of the agent itself.
struct Identity {
    std::string version, configuration; ///< `configuration`: a SHA-256
    Instant started;
};

/// A report without its number and events. The head of an audit that may be an older copy is not told: a hub
/// would take it for the newest. Throws when the host or its list of guests cannot be read: then
/// there is no report.
boost::json::object snapshot(Engine& engine, const Identity& identity,
                             const std::optional<Standing>& standing, const std::vector<Trouble>& troubles,
                             Instant now);

/// Adds an event for each operation that ended since this was called last; what ended before the first call
/// is not told. Whether there were any. Throws store::StoreError; what was not added comes with the next
/// call.
bool add_ends(store::Database& database, execution::Journal& journal, Instant now);

/// That a trouble is over.
void add_ended(store::Database& database, const Trouble& trouble, Instant now);

} // namespace blockhost::agent
