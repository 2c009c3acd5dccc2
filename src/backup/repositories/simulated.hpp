// SPDX-License-Identifier: MIT
#pragma once
/// The repository of the simulated world: what restic and the helper of views do, with the content of that
/// world's disks.
///
///   repository/ID.json   a snapshot: its tags, the files beside its disks, and of each disk's chunks the
///                        time and the content (the texts of the disk's clusters)
///
/// A chunk whose time is the same in the parent is taken from there and not read again, as restic does it. So
/// a record of writes that was kept wrongly shows in the content. What is stored outlives a loss of power.
///
/// Fault points (base/fault.hpp): "simulated.<call>" before each call, "simulated.<call>.after" after what
/// changes something; "simulated.store.half" with a snapshot that lacks its last chunk. Silence ends as
/// restic's does, with an error.

#include "backup/repositories/repository.hpp"
#include "backup/settings.hpp"

#include <memory>

namespace blockhost::backup {

/// `mock`: the simulated world's paths. Its repository needs no setup and no password.
std::unique_ptr<Repository> open_simulated_repository(const Paths& mock);
Settings simulated_settings(const Paths& mock);

} // namespace blockhost::backup
