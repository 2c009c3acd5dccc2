// SPDX-License-Identifier: MIT
#pragma once
/// The step of setup that makes the storage pool.

#include "setup/site.hpp"

namespace blockhost::setup {

/// The values that were given; nothing: db.yaml's value, else the contract's default.
struct StorageWish {
    std::optional<std::string> pool, path;
};
struct Storage {
    bool changed = false;
    std::string pool; ///< its name in libvirt
    std::filesystem::path path;
};
/// Makes the pool that creates use: it is active and comes up with libvirtd, and its folder exists.
Storage settle_storage(const Site& site, const StorageWish& wish);

/// Adds to `bad` what is wrong with the name of a pool or the path of its folder.
void check_names(const std::optional<std::string>& pool, const std::optional<std::string>& path,
                 std::vector<BadField>& bad);

/// Refuses an existing pool that has another folder.
void check_pool_is_there(const Site& site, const std::string& pool, const std::filesystem::path& path,
                         Hypervisor& hypervisor);

} // namespace blockhost::setup
