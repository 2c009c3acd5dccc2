// SPDX-License-Identifier: MIT
#include "hypervisor/xml/backup.hpp"

#include "base/error.hpp"
#include "hypervisor/xml/print.hpp"

namespace blockhost {

namespace {

/// Disks that are not listed take no part.
pugi::xml_node only_disk(pugi::xml_node root, const std::string& target) {
    pugi::xml_node disk = root.append_child("disks").append_child("disk");
    disk.append_attribute("name") = target.c_str();
    return disk;
}

} // namespace

std::string export_bitmap(const BackupSpec& spec) {
    return spec.since.empty() ? "" : "backup-" + spec.disk;
}

std::string render_backup(const BackupSpec& spec) {
    pugi::xml_document document;
    auto backup = document.append_child("domainbackup");
    backup.append_attribute("mode") = "pull";
    if (!spec.since.empty()) backup.append_child("incremental").text() = spec.since.c_str();
    auto server = backup.append_child("server");
    server.append_attribute("transport") = "unix";
    server.append_attribute("socket") = spec.socket.c_str();
    auto disk = only_disk(backup, spec.disk);
    disk.append_attribute("backup") = "yes";
    disk.append_attribute("type") = "file";
    disk.append_attribute("exportname") = spec.disk.c_str();
    if (!spec.since.empty()) disk.append_attribute("exportbitmap") = export_bitmap(spec).c_str();
    disk.append_child("driver").append_attribute("type") = "qcow2";
    disk.append_child("scratch").append_attribute("file") = spec.scratch.c_str();
    return print_xml(document);
}

std::string render_checkpoint(const BackupSpec& spec) {
    pugi::xml_document document;
    auto checkpoint = document.append_child("domaincheckpoint");
    checkpoint.append_child("name").text() = spec.checkpoint.c_str();
    only_disk(checkpoint, spec.disk).append_attribute("checkpoint") = "bitmap";
    return print_xml(document);
}

std::string backup_socket(const std::string& xml) {
    pugi::xml_document document;
    const auto result = document.load_string(xml.c_str());
    if (!result)
        throw Error(Code::hypervisor,
                    std::string("libvirt's description of a backup cannot be read: ") + result.description());
    return document.child("domainbackup").child("server").attribute("socket").value();
}

std::string without_parent(const std::string& checkpoint_xml) {
    pugi::xml_document document;
    const auto result = document.load_string(checkpoint_xml.c_str());
    if (!result)
        throw Error(Code::hypervisor, std::string("libvirt's description of a checkpoint cannot be read: ") +
                                          result.description());
    document.child("domaincheckpoint").remove_child("parent");
    return print_xml(document);
}

} // namespace blockhost
