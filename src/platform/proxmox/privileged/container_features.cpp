// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/container_features.hpp"

#include "base/error.hpp"

namespace blockhost::platform::proxmox::privileged {

void ContainerFeatures::set(const Permit& permit) const {
    const auto* wanted = std::get_if<SetFeatures>(&permit.action());
    if (wanted == nullptr) throw Error(Code::internal, "this permit is not for a container's features");
    const ContainerId container(permit.target().guest);
    const Features features({wanted->features.begin(), wanted->features.end()});
    fence_.require("setting a container's features", {pct});
    fence_.perform("set the features of container " + container.str(), pct,
                   {"set", container.str(), "--features", features.str()});
}

} // namespace blockhost::platform::proxmox::privileged
