// SPDX-License-Identifier: MIT
#pragma once
/// A drill of a backup that the platform keeps: it is restored to a scratch guest without a network, started,
/// waited for, and destroyed. Each step is an operation of the source "drill", so that this host's record
/// says that the guest is scratch.

#include "agent/backups/guest_restore.hpp"
#include "backup/last_drill.hpp"

namespace blockhost::agent {

struct DrillWish {
    platform::StoredBackup backup;
    std::chrono::seconds boot_timeout{600};
    /// How long a guest without an agent has to run to have come up.
    std::chrono::seconds must_run{30};
};

inline constexpr std::string_view drill_tag = "blockhost-drill";

/// What an earlier drill that died has left is removed. The guests' ids.
std::vector<platform::GuestId> clear_drills(Engine& engine, const StepTalk& talk);

/// The verdict: the backup can be restored, the guest starts, its agent answers; of a guest without one, that
/// it is still running after `must_run`. It has no link to any network at any time. Throws what says nothing
/// of the backup: no rights, no room, a node that does not answer, an interruption; the scratch guest is
/// removed then, too, or is by the next drill.
backup::LastDrill drill_guest(Engine& engine, const DrillWish& wish, const StepTalk& talk);

} // namespace blockhost::agent
