// SPDX-License-Identifier: MIT
#pragma once
/// The agent's figures in Prometheus' text exposition format 0.0.4: the host, its guests, what is wanted of
/// it, how it stands with its hub, and backups.

#include "base/time.hpp"
#include "config/paths.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::agent {

/// Of one guest's backups, as this host remembers them.
struct BackupFigures {
    std::string guest;
    std::optional<Instant> last;  ///< the last whole backup
    std::optional<Instant> drill; ///< the last drill
    bool drill_passed = false;
};

/// Of each guest that has a backup in this host's repository. Throws store::StoreError, Error{config}.
std::vector<BackupFigures> backup_figures(const Paths& paths);

/// What the service knows of itself.
struct LoopFigures {
    std::optional<Instant> exchange; ///< the last one that was answered
    std::optional<Instant> look;     ///< the last look at the host that came to its end
    std::optional<double> dropped_events;
    bool is_blocked = false;
};

/// `report`: as hub-report.schema.json has it, without number and events.
std::string metrics_page(const boost::json::object& report, const LoopFigures& loop,
                         const std::vector<BackupFigures>& backups);

} // namespace blockhost::agent
