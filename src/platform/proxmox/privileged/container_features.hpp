// SPDX-License-Identifier: MIT
#pragma once
/// The first fenced command: a new container's features. Nodes let nobody but root@pam itself change others
/// than nesting (pve-container, src/PVE/LXC.pm, check_ct_modify_config_perm).

#include "platform/permit.hpp"
#include "platform/proxmox/privileged/arguments.hpp"
#include "platform/proxmox/privileged/fence.hpp"

namespace blockhost::platform::proxmox::privileged {

class ContainerFeatures {
  public:
    explicit ContainerFeatures(LocalNode node) : fence_(std::move(node)) {}
    /// Gives the permit's container exactly the features of its action; a running one has them from its next
    /// start on. Whether it is still the incarnation that is meant, only the API tells, and who calls this
    /// has looked. Throws Error{internal} for a permit to do something else, Error{invalid} as ContainerId
    /// and Features do, and as Fence says.
    void set(const Permit& permit) const;

  private:
    Fence fence_;
};

} // namespace blockhost::platform::proxmox::privileged
