// SPDX-License-Identifier: MIT
#pragma once
/// What a definition says of a domain's writable disks, layer by layer.

#include <string>
#include <vector>

namespace blockhost {

struct DiskLayers {
    std::string target;             ///< "vda"
    std::vector<std::string> files; ///< its file or device, then those below it that the definition names
    std::string copy;   ///< where a block copy of it is being made, also by a job that waits to be ended;
                        ///< empty: nowhere
    std::string commit; ///< the layer that it is being committed into; empty: none
};
/// Throws as read_domain.
std::vector<DiskLayers> disk_layers(const std::string& xml);

} // namespace blockhost
