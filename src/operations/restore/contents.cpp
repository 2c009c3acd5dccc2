// SPDX-License-Identifier: MIT
#include "operations/restore/contents.hpp"

#include "base/error.hpp"
#include "model/vm.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

constexpr std::uint64_t gib = 1ull << 30;

/// What this version makes has one disk, of a size that a VM may have.
void require_one_disk(const backup::Backup& backup, const backup::Manifest& manifest) {
    constexpr const char* hint = "'blockhost-libvirt backup extract' restores its disks alone";
    if (manifest.disks.size() != 1)
        throw Error(Code::invalid,
                    fmt::format("backup {} has {} disks, and this version restores VMs with one",
                                backup.short_id(), manifest.disks.size()),
                    hint);
    if (manifest.disks.front().bytes > limits::disk_max_gib * gib)
        throw Error(Code::invalid,
                    fmt::format("backup {} has a larger disk than a VM may have", backup.short_id()), hint);
}

} // namespace

backup::Manifest read_manifest(const backup::Repository& repository, const backup::Backup& backup) {
    backup::Manifest manifest = backup::manifest_of(repository, backup);
    require_one_disk(backup, manifest);
    return manifest;
}

Contents read_contents(const backup::Repository& repository, const backup::Backup& backup) {
    return {read_manifest(repository, backup), backup::record_of(repository, backup)};
}

} // namespace blockhost::operations
