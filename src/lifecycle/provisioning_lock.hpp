#pragma once
/// `<run>/provisioning.lock`: tells reconcilers that a create is under way (docs/contract.md, "Provisioning
/// lock").
///
/// Several creates may run at once. Each holds a flock on a file of its own in `<run>/provisioning.d`; the
/// lock file always names one that is alive, and goes with the last. Every second each looks whether the
/// named one still lives.

#include "base/talk.hpp"

#include <filesystem>
#include <memory>

namespace blockhost {

class ProvisioningLock {
  public:
    /// Joins. Where the folder is missing or not writable it warns and goes on without: a missed hint is
    /// cheaper than a lost paid subscription.
    ProvisioningLock(const std::filesystem::path& run_folder, Talk& talk);
    ~ProvisioningLock();
    ProvisioningLock(const ProvisioningLock&) = delete;
    ProvisioningLock& operator=(const ProvisioningLock&) = delete;

  private:
    class Presence;
    std::unique_ptr<Presence> presence_;
};

} // namespace blockhost
