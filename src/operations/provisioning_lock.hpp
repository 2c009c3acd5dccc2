// SPDX-License-Identifier: MIT
#pragma once
/// `<run>/provisioning.lock`: tells reconcilers that a create is under way (docs/contract.md, "Provisioning
/// lock").
///
/// Several creates may run at once. Each holds a flock on a file of its own in `<run>/provisioning.d`. The
/// lock file always names a create that is alive, and the last create removes it. Every second each create
/// checks that the named one is alive.

#include "base/progress.hpp"

#include <filesystem>
#include <memory>

namespace blockhost::operations {

class ProvisioningLock {
  public:
    /// Joins. When the folder is missing or not writable, warns and goes on without the lock: a missed hint
    /// is cheaper than a lost paid subscription.
    ProvisioningLock(const std::filesystem::path& run_folder, Progress& progress);
    ~ProvisioningLock();
    ProvisioningLock(const ProvisioningLock&) = delete;
    ProvisioningLock& operator=(const ProvisioningLock&) = delete;

  private:
    class Presence;
    std::unique_ptr<Presence> presence_;
};

} // namespace blockhost::operations
