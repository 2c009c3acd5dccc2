// SPDX-License-Identifier: MIT
/// See interface.hpp.

#include "hypervisor/xml/interface.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/print.hpp"

namespace blockhost {

namespace {

void load(pugi::xml_document& document, const std::string& xml) {
    if (const auto result = document.load_string(xml.c_str()); !result)
        throw Error(Code::hypervisor, std::string("libvirt's definition of an interface cannot be parsed: ") +
                                          result.description());
}

std::string mac_of(pugi::xml_node interface) {
    return text::lower(interface.child("mac").attribute("address").value());
}

using Parameters = std::vector<std::pair<std::string, std::string>>;

void add_reference(pugi::xml_node parent, const std::string& filter, const Parameters& parameters) {
    auto reference = parent.append_child("filterref");
    reference.append_attribute("filter") = filter.c_str();
    for (const auto& [name, value] : parameters) {
        auto parameter = reference.append_child("parameter");
        parameter.append_attribute("name") = name.c_str();
        parameter.append_attribute("value") = value.c_str();
    }
}

/// Whether something was missing.
bool add_missing(pugi::xml_node interface, const std::optional<InterfaceFilter>& filter) {
    bool missing = false;
    if (!interface.child("port").attribute("isolated")) {
        auto port = interface.child("port");
        if (!port) port = interface.append_child("port");
        port.append_attribute("isolated") = "yes";
        missing = true;
    }
    if (filter && mac_of(interface) == filter->mac.str() && !interface.child("filterref")) {
        add_filterref(interface, *filter);
        missing = true;
    }
    return missing;
}

} // namespace

void add_filterref(pugi::xml_node interface, const InterfaceFilter& filter) {
    Parameters parameters{{"MAC", filter.mac.str()}, {"IP", filter.ip.str()}};
    if (filter.ipv6) parameters.emplace_back("IPV6", filter.ipv6->str());
    add_reference(interface, filter.name, parameters);
}

std::vector<std::string> interfaces_to_guard(const std::string& xml, const std::string& bridge,
                                             const std::optional<InterfaceFilter>& filter) {
    pugi::xml_document document;
    load(document, xml);
    std::vector<std::string> found;
    for (auto interface : document.child("domain").child("devices").children("interface")) {
        if (bridge != interface.child("source").attribute("bridge").value()) continue;
        if (!add_missing(interface, filter)) continue;
        pugi::xml_document alone;
        alone.append_copy(interface);
        found.push_back(print_xml(alone));
    }
    return found;
}

namespace {

pugi::xml_node interface_with(const pugi::xml_document& document, const std::string& mac) {
    for (auto interface : document.child("domain").child("devices").children("interface"))
        if (mac_of(interface) == mac) return interface;
    return {};
}

} // namespace

std::optional<RunningInterface> running_interface(const std::string& xml, const Mac& mac) {
    pugi::xml_document document;
    load(document, xml);
    const auto interface = interface_with(document, mac.str());
    if (!interface) return std::nullopt;
    return RunningInterface{interface.child("target").attribute("dev").value(),
                            std::string_view(interface.child("port").attribute("isolated").value()) == "yes",
                            interface.child("filterref").attribute("filter").value()};
}

std::string interface_with_link_up(const std::string& xml, const Mac& mac) {
    pugi::xml_document document, alone;
    load(document, xml);
    const auto interface = interface_with(document, mac.str());
    if (!interface) throw Error(Code::hypervisor, "no device matching MAC address " + mac.str() + " found");
    auto copy = alone.append_copy(interface);
    copy.remove_child("link");
    copy.append_child("link").append_attribute("state") = "up";
    return print_xml(alone);
}

FilterBinding filter_binding(const std::string& xml, const Mac& mac) {
    pugi::xml_document document;
    load(document, xml);
    const auto domain = document.child("domain");
    const auto interface = interface_with(document, mac.str());
    const auto reference = interface.child("filterref");
    if (!reference)
        throw Error(Code::hypervisor, "no device matching MAC address " + mac.str() + " has a filter");
    FilterBinding binding{.domain = domain.child("name").text().get(),
                          .uuid = domain.child("uuid").text().get(),
                          .tap = interface.child("target").attribute("dev").value(),
                          .mac = interface.child("mac").attribute("address").value(),
                          .filter = reference.attribute("filter").value(),
                          .parameters = {}};
    for (auto parameter : reference.children("parameter"))
        binding.parameters.emplace_back(parameter.attribute("name").value(),
                                        parameter.attribute("value").value());
    return binding;
}

std::string render_binding(const FilterBinding& binding) {
    pugi::xml_document document;
    auto element = document.append_child("filterbinding");
    auto owner = element.append_child("owner");
    owner.append_child("name").text() = binding.domain.c_str();
    owner.append_child("uuid").text() = binding.uuid.c_str();
    element.append_child("portdev").append_attribute("name") = binding.tap.c_str();
    element.append_child("mac").append_attribute("address") = binding.mac.c_str();
    add_reference(element, binding.filter, binding.parameters);
    return print_xml(document);
}

std::string with_interface(const std::string& xml, const std::string& interface) {
    pugi::xml_document document, fresh;
    load(document, xml);
    load(fresh, interface);
    const std::string mac = mac_of(fresh.child("interface"));
    auto devices = document.child("domain").child("devices");
    for (auto there : devices.children("interface")) {
        if (mac_of(there) != mac) continue;
        devices.insert_copy_after(fresh.child("interface"), there);
        devices.remove_child(there);
        return print_xml(document);
    }
    throw Error(Code::hypervisor, "no device matching MAC address " + mac + " found");
}

} // namespace blockhost
