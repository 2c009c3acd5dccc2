// SPDX-License-Identifier: MIT
/// See settings.hpp.

#include "hypervisor/xml/settings.hpp"

#include "base/text/text.hpp"
#include "base/text/utf8.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "hypervisor/xml/print.hpp"
#include "hypervisor/xml/tags_element.hpp"

#include <algorithm>

namespace blockhost {

namespace {

void load(pugi::xml_document& document, const std::string& xml) {
    if (const auto result = document.load_string(xml.c_str()); !result)
        throw Error(Code::hypervisor,
                    std::string("a domain's definition cannot be parsed: ") + result.description());
}

/// What XML cannot say, or says differently when it is read again.
bool is_plain(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto found = text::code_point(text, at);
        if (!found) return false;
        const char32_t c = found->value;
        const bool is_control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
        if (is_control || c == 0xfffe || c == 0xffff) return false;
        at += found->length;
    }
    return true;
}

bool is_tag(std::string_view tag) {
    return !tag.empty() && tag.size() <= longest_tag &&
           std::ranges::all_of(tag, [](char c) { return c > ' ' && c < 0x7f; });
}

void set_number(pugi::xml_node domain, const char* name, std::int64_t value) {
    auto element = domain.child(name);
    if (!element) element = domain.append_child(name);
    element.text() = std::to_string(value).c_str();
}

void set_memory(pugi::xml_node domain, std::int64_t mib) {
    set_number(domain, "memory", mib);
    auto memory = domain.child("memory");
    memory.remove_attribute("unit");
    memory.append_attribute("unit") = "MiB";
    domain.remove_child("currentMemory");
}

void set_description(pugi::xml_node domain, const std::string& text) {
    domain.remove_child("description");
    if (text.empty()) return;
    domain.insert_child_after("description", domain.child("uuid")).text() = text.c_str();
}

void set_tags(pugi::xml_node domain, const std::set<std::string>& tags) {
    auto metadata = domain.child("metadata");
    if (!metadata) metadata = domain.insert_child_after("metadata", domain.child("uuid"));
    for (auto element = metadata.first_child(); element;) {
        const auto next = element.next_sibling();
        if (is_tags(element)) metadata.remove_child(element);
        element = next;
    }
    const std::string wanted = render_tags(tags);
    if (!wanted.empty()) metadata.append_buffer(wanted.data(), wanted.size());
}

} // namespace

std::optional<Error> refusal_of(const DomainSettings& settings) {
    if (settings.description && settings.description->size() > longest_description)
        return Error(Code::invalid,
                     "the description is longer than " + std::to_string(longest_description) + " bytes",
                     "shorten it");
    if (settings.description && !is_plain(*settings.description))
        return Error(Code::invalid, "the description has characters that no definition can hold",
                     "use UTF-8 without control characters other than newlines and tabs");
    if (!settings.tags) return std::nullopt;
    if (settings.tags->size() > most_tags)
        return Error(Code::invalid, "there are more than " + std::to_string(most_tags) + " tags",
                     "use fewer");
    for (const std::string& tag : *settings.tags)
        if (!is_tag(tag))
            return Error(Code::invalid, "\"" + text::printable(tag, longest_tag) + "\" is no tag",
                         "a tag is 1 to 64 printable ASCII characters without blanks");
    return std::nullopt;
}

std::string render_tags(const std::set<std::string>& tags) {
    if (tags.empty()) return {};
    pugi::xml_document document;
    auto all = document.append_child("tags");
    all.append_attribute("xmlns") = tags_namespace;
    for (const std::string& tag : tags) all.append_child("tag").text() = tag.c_str();
    return print_xml(document);
}

std::string with_settings(const std::string& xml, const DomainSettings& settings) {
    pugi::xml_document document;
    load(document, xml);
    auto domain = document.child("domain");
    if (settings.cpus) {
        set_number(domain, "vcpu", *settings.cpus);
        domain.child("vcpu").remove_attribute("current");
    }
    if (settings.memory_mib) set_memory(domain, *settings.memory_mib);
    if (settings.description) set_description(domain, *settings.description);
    if (settings.tags) set_tags(domain, *settings.tags);
    return print_xml(document);
}

} // namespace blockhost
