// SPDX-License-Identifier: MIT
/// See disk_layers.hpp; libvirt, "Domain XML format", hard drives: <backingStore> and <mirror>.

#include "hypervisor/files/disk_layers.hpp"

#include "base/error.hpp"

#include <pugixml.hpp>
#include <string_view>

namespace blockhost {

namespace {

std::string file_of(pugi::xml_node layer) {
    const auto source = layer.child("source");
    for (const char* attribute : {"file", "dev", "name"})
        if (source.attribute(attribute)) return source.attribute(attribute).value();
    return "";
}

DiskLayers layers_of(pugi::xml_node disk) {
    DiskLayers layers{disk.child("target").attribute("dev").value(), {}, {}, {}};
    for (auto layer = disk; layer; layer = layer.child("backingStore"))
        if (std::string file = file_of(layer); !file.empty()) layers.files.push_back(std::move(file));
    if (const auto mirror = disk.child("mirror")) {
        const bool commits = std::string_view(mirror.attribute("job").value()) == "active-commit";
        std::string file = file_of(mirror);
        if (file.empty()) file = mirror.attribute("file").as_string("a place that libvirt does not name");
        (commits ? layers.commit : layers.copy) = std::move(file);
    }
    return layers;
}

} // namespace

std::vector<DiskLayers> disk_layers(const std::string& xml) {
    pugi::xml_document document;
    if (const auto result = document.load_string(xml.c_str()); !result)
        throw Error(Code::hypervisor,
                    std::string("libvirt's domain definition cannot be parsed: ") + result.description());
    std::vector<DiskLayers> all;
    for (auto disk : document.child("domain").child("devices").children("disk")) {
        const std::string_view device = disk.attribute("device").as_string("disk");
        if (device == "disk" && !disk.child("readonly")) all.push_back(layers_of(disk));
    }
    return all;
}

} // namespace blockhost
