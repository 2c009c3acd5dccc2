// SPDX-License-Identifier: MIT
#include "platform/proxmox/privileged/container_features.hpp"

#include "base/error.hpp"

namespace blockhost::platform::proxmox::privileged {

void ContainerFeatures::set(const Permit& permit, const ContainerId& container,
                            const Features& features) const {
    if (permit.kind() != ActionKind::set_config || permit.target().guest != container.str())
        throw Error(Code::internal, "this permit is not for that container's configuration");
    fence_.require("setting a container's features", {pct});
    fence_.perform("set the features of container " + container.str(), pct,
                   {"set", container.str(), "--features", features.str()});
}

} // namespace blockhost::platform::proxmox::privileged
