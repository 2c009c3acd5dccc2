// SPDX-License-Identifier: MIT
#include "hypervisor/xml/runs_as.hpp"

#include "base/error.hpp"

#include <charconv>
#include <pugixml.hpp>
#include <string_view>

namespace blockhost {

namespace {

/// "+64055"
std::optional<unsigned> id_of(std::string_view text) {
    if (!text.starts_with('+')) return std::nullopt;
    text.remove_prefix(1);
    unsigned id = 0;
    const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (trouble != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return id;
}

} // namespace

std::optional<RunsAs> runs_as(const std::string& xml) {
    pugi::xml_document document;
    const auto result = document.load_string(xml.c_str());
    if (!result)
        throw Error(Code::hypervisor,
                    std::string("libvirt's description of a domain cannot be read: ") + result.description());
    for (const auto& label : document.child("domain").children("seclabel")) {
        if (std::string_view(label.attribute("model").value()) != "dac") continue;
        const std::string_view text = label.child("label").text().get();
        const auto colon = text.find(':');
        if (colon == text.npos) continue;
        const auto uid = id_of(text.substr(0, colon)), gid = id_of(text.substr(colon + 1));
        if (uid && gid) return RunsAs{*uid, *gid};
    }
    return std::nullopt;
}

} // namespace blockhost
