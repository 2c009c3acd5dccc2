// SPDX-License-Identifier: MIT
/// Reading back what our renderer wrote: domains whose text we could have made ourselves.

#include "base/text/text.hpp"
#include "hypervisor/xml/domain.hpp"

#include <pugixml.hpp>

namespace blockhost {
namespace {

std::string value_of(pugi::xml_node node, const char* attribute) {
    return node.attribute(attribute).value();
}

std::string text_of(pugi::xml_node parent, const char* child) {
    return parent.child(child).text().get();
}

/// The first device of that kind with that `device` attribute.
pugi::xml_node disk_of(pugi::xml_node devices, const char* device) {
    return devices.find_child_by_attribute("disk", "device", device);
}

} // namespace

std::optional<DomainSpec> spec_of(const std::string& xml) {
    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size())) return std::nullopt;
    const auto domain = document.child("domain");
    const auto devices = domain.child("devices"), interface = devices.child("interface");
    const auto name = VmName::try_parse(text_of(domain, "name"));
    const auto uuid = Uuid::try_parse(text_of(domain, "uuid"));
    const auto mac = Mac::try_parse(value_of(interface.child("mac"), "address"));
    const auto mark = read_mark(xml);
    const auto instance = mark ? InstanceId::try_parse(mark->instance) : std::nullopt;
    const auto operation = mark ? OperationId::try_parse(mark->operation) : std::nullopt;
    const auto memory = text::parse_int(text_of(domain, "memory"));
    const auto cpus = text::parse_int(text_of(domain, "vcpu"));
    if (!name || !uuid || !mac || !instance || !operation || !mark->ip || !memory || !cpus)
        return std::nullopt;
    const auto os = domain.child("os");
    DomainSpec spec{
        .name = *name,
        .uuid = *uuid,
        .kvm = value_of(domain, "type") == "kvm",
        .cpus = *cpus,
        .memory_mib = *memory,
        .disk_path = value_of(disk_of(devices, "disk").child("source"), "file"),
        .seed_path = value_of(disk_of(devices, "cdrom").child("source"), "file"),
        .console_path = value_of(devices.child("serial").child("log"), "file"),
        .bridge = value_of(interface.child("source"), "bridge"),
        .mac = *mac,
        .filter = value_of(interface.child("filterref"), "filter"),
        .kernel = text_of(os, "kernel"),
        .initrd = text_of(os, "initrd"),
        .kernel_arguments = text_of(os, "cmdline"),
        .instance = *instance,
        .operation = *operation,
        .state_folder = mark->state_folder,
        .ip = *mark->ip,
        .ipv6 = mark->ipv6,
        .wallet = mark->wallet,
        .username = mark->username,
        .network_mode = mark->network_mode,
        .expires_at = mark->expires_at,
        .created_at = mark->created_at,
    };
    if (const auto mtu = text::parse_int(value_of(interface.child("mtu"), "size")); mtu && *mtu <= 65535)
        spec.mtu = static_cast<int>(*mtu);
    if (render_domain(spec) != xml) return std::nullopt;
    return spec;
}

} // namespace blockhost
