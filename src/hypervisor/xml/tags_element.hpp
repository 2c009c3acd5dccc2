// SPDX-License-Identifier: MIT
#pragma once
/// The element of tags among a domain's metadata.

#include "hypervisor/xml/metadata.hpp"

#include <pugixml.hpp>
#include <string_view>

namespace blockhost {

/// The element's own declaration tells: libvirt keeps one with each.
inline bool is_tags(pugi::xml_node element) {
    for (const auto each : element.attributes())
        if (std::string_view(each.name()).starts_with("xmlns") &&
            std::string_view(each.value()) == tags_namespace)
            return true;
    return false;
}

} // namespace blockhost
