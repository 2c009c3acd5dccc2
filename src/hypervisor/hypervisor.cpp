// SPDX-License-Identifier: MIT
/// What the drivers of both interfaces look at before a call.

#include "hypervisor/hypervisor.hpp"

#include "base/files/spelling.hpp"
#include "hypervisor/xml/domain.hpp"

namespace blockhost {

TunedDevices Observer::devices_of(const std::string& name) {
    const auto view = find(name);
    if (!view) throw Error(Code::not_found, "libvirt has no domain " + name);
    return tuned_devices(view->xml);
}

TunedDevices Hypervisor::devices_of(const std::string& name, Subsystem subsystem) {
    auto devices = devices_of(name);
    const bool missing = (subsystem == Subsystem::network && devices.mac.empty()) ||
                         (subsystem == Subsystem::disk && devices.disk.empty());
    if (missing)
        throw Error(Code::wrong_state,
                    name + " has no " + (subsystem == Subsystem::disk ? "disk" : "network interface"));
    return devices;
}

void Hypervisor::refuse_other_folder(const std::string& name, const std::string& path) {
    const auto pool = find_pool(name);
    if (pool && !files::is_same_folder(pool->path, path))
        throw Error(Code::config, "the storage pool " + name + " is at " + pool->path + ", not at " + path,
                    "set storage_pool and storage_path in db.yaml to a pool and its own folder");
}

} // namespace blockhost
