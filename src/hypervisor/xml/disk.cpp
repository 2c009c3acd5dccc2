// SPDX-License-Identifier: MIT
/// See disk.hpp.

#include "hypervisor/xml/disk.hpp"

#include "base/error.hpp"
#include "hypervisor/xml/print.hpp"

#include <string_view>

namespace blockhost {

namespace {

pugi::xml_node devices_of(pugi::xml_document& document, const std::string& xml) {
    if (const auto result = document.load_string(xml.c_str()); !result)
        throw Error(Code::hypervisor,
                    std::string("a domain's definition cannot be parsed: ") + result.description());
    return document.child("domain").child("devices");
}

std::string_view target_of(pugi::xml_node disk) {
    return disk.child("target").attribute("dev").value();
}

pugi::xml_node disk_of(pugi::xml_node devices, const std::string& target) {
    for (auto disk : devices.children("disk"))
        if (target_of(disk) == target) return disk;
    return {};
}

pugi::xml_node must_have(pugi::xml_node devices, const std::string& target) {
    if (auto disk = disk_of(devices, target)) return disk;
    throw Error(Code::not_found, "the domain has no disk " + target);
}

void set_file(pugi::xml_node disk, const std::string& path) {
    while (disk.remove_child("backingStore") || disk.remove_child("mirror")) {
    }
    const auto old = disk.child("source");
    auto source = old ? disk.insert_child_before("source", old)
                      : disk.insert_child_before("source", disk.child("target"));
    if (old) disk.remove_child(old);
    source.append_attribute("file") = path.c_str();
}

} // namespace

std::string file_of_disk(const std::string& xml, const std::string& target) {
    pugi::xml_document document;
    return disk_of(devices_of(document, xml), target).child("source").attribute("file").value();
}

std::string disk_with(const std::string& xml, const std::string& target, const std::string& path) {
    pugi::xml_document document, alone;
    alone.append_copy(must_have(devices_of(document, xml), target));
    set_file(alone.child("disk"), path);
    return print_xml(alone);
}

std::string with_disk(const std::string& xml, const std::string& target, const std::string& path) {
    pugi::xml_document document;
    set_file(must_have(devices_of(document, xml), target), path);
    return print_xml(document);
}

std::string render_layer(const std::string& xml, const std::string& target, const std::string& path) {
    pugi::xml_document document, request;
    const auto devices = devices_of(document, xml);
    must_have(devices, target);
    auto disks = request.append_child("domainsnapshot").append_child("disks");
    for (auto each : devices.children("disk")) {
        const bool wanted = target_of(each) == target;
        auto disk = disks.append_child("disk");
        disk.append_attribute("name") = each.child("target").attribute("dev").value();
        disk.append_attribute("snapshot") = wanted ? "external" : "no";
        if (!wanted) continue;
        disk.append_attribute("type") = "file";
        disk.append_child("driver").append_attribute("type") = "qcow2";
        disk.append_child("source").append_attribute("file") = path.c_str();
    }
    return print_xml(request);
}

} // namespace blockhost
