// SPDX-License-Identifier: MIT
/// What a definition says of settings.hpp's.

#include "base/error.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/settings.hpp"
#include "hypervisor/xml/tags_element.hpp"

namespace blockhost {

namespace {

std::string local_name(pugi::xml_node node) {
    const std::string name = node.name();
    const auto colon = name.find(':');
    return colon == std::string::npos ? name : name.substr(colon + 1);
}

} // namespace

DomainSettings read_settings(const std::string& xml) {
    return read_settings(xml, read_domain(xml));
}

DomainSettings read_settings(const std::string& xml, const DomainFacts& facts) {
    pugi::xml_document document;
    if (const auto result = document.load_string(xml.c_str()); !result)
        throw Error(Code::hypervisor,
                    std::string("a domain's definition cannot be parsed: ") + result.description());
    const auto domain = document.child("domain");
    DomainSettings said{.cpus = facts.cpus,
                        .memory_mib = static_cast<std::int64_t>(facts.memory_mib),
                        .description = domain.child("description").text().get(),
                        .tags = std::set<std::string>()};
    for (auto element : domain.child("metadata").children()) {
        if (!is_tags(element)) continue;
        for (auto tag : element.children())
            if (local_name(tag) == "tag") said.tags->insert(tag.text().get());
    }
    return said;
}

} // namespace blockhost
