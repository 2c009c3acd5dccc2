// SPDX-License-Identifier: MIT
#pragma once
/// How this floor's XML looks: indented by two blanks, no declaration.

#include <pugixml.hpp>
#include <sstream>
#include <string>

namespace blockhost {

inline std::string print_xml(const pugi::xml_document& document) {
    std::ostringstream out;
    document.save(out, "  ", pugi::format_indent | pugi::format_no_declaration);
    return std::move(out).str();
}

} // namespace blockhost
