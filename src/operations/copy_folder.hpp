// SPDX-License-Identifier: MIT
#pragma once
/// Where a backup's chunks are copied on hosts that cannot mount a view of them (no /dev/fuse).

#include "backup/repositories/repository.hpp"
#include "vm/context.hpp"

namespace blockhost::operations {

/// Removes what an earlier backup of the VM left there; the destructor removes this one's.
class CopyFolder {
  public:
    /// Makes the folder, with a warning, where the repository needs it. Throws Error{no_room} unless there is
    /// room for `bytes`.
    CopyFolder(World& world, VmName name, const backup::Repository& repository, std::uint64_t bytes);
    CopyFolder(const CopyFolder&) = delete;
    CopyFolder& operator=(const CopyFolder&) = delete;
    ~CopyFolder();

    const std::filesystem::path& path() const { return path_; } ///< empty: none is needed

  private:
    World& world_;
    VmName name_;
    std::filesystem::path path_;
};

} // namespace blockhost::operations
