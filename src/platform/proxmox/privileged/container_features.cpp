// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/container_features.hpp"

namespace blockhost::platform::proxmox::privileged {

void ContainerFeatures::set(const ContainerId& container, const Features& features) const {
    fence_.require("setting a container's features", {pct});
    fence_.perform("set the features of container " + container.str(), pct,
                   {"set", container.str(), "--features", features.str()});
}

} // namespace blockhost::platform::proxmox::privileged
