// SPDX-License-Identifier: MIT
#pragma once
/// What restores and a drill read of a backup before anything is made.

#include "backup/extract.hpp"

namespace blockhost::operations {

struct Contents {
    backup::Manifest manifest;
    backup::Record record;

    const backup::ManifestDisk& disk() const { return manifest.disks.front(); }
};

/// Throws Error{invalid} for what cannot be read, and for a backup of more or larger disks than a VM of ours
/// has.
backup::Manifest read_manifest(const backup::Repository& repository, const backup::Backup& backup);
/// The same with the record.
Contents read_contents(const backup::Repository& repository, const backup::Backup& backup);

} // namespace blockhost::operations
