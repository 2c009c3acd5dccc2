// SPDX-License-Identifier: MIT
#include "operations/copy_folder.hpp"

#include "backup/repository.hpp"

namespace blockhost::operations {

CopyFolder::CopyFolder(World& world, VmName name, const backup::Repository& repository, std::uint64_t bytes)
    : world_(world), name_(std::move(name)) {
    backup::remove_copy_folder(world.paths, name_);
    if (repository.shows_views()) return;
    world.progress.warn("this host has no /dev/fuse: all that the disk holds is copied first");
    path_ = backup::make_copy_folder(world.paths, name_, bytes);
}

CopyFolder::~CopyFolder() {
    try {
        if (!path_.empty()) backup::remove_copy_folder(world_.paths, name_);
    } catch (const Error& error) {
        world_.progress.warn(error.what()); // the next backup removes it
    }
}

} // namespace blockhost::operations
