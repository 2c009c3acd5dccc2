// SPDX-License-Identifier: MIT
#pragma once
/// Whether a backup is whole: what the repository lists is compared with the manifest.

#include "backup/extract.hpp"

namespace blockhost::backup {

struct Comparison {
    Snapshot snapshot; ///< as the repository has it
    /// What it lacks of its manifest: each chunk of each disk, and its size. Empty: nothing, and it has
    /// nothing else in the disks' folders.
    std::string missing;
};
/// `snapshot` may be the first digits of its id.
Comparison compare(const Repository& repository, const std::string& snapshot, const Manifest& manifest);

/// Likewise for a backup whose manifest is read first; one that cannot be believed is lacking, too. Throws
/// what says nothing of the backup: an unreachable repository, an interruption.
std::string missing_in(const Restic& restic, const Backup& backup);

} // namespace blockhost::backup
