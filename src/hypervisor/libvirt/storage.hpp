// SPDX-License-Identifier: MIT
#pragma once
/// Pool and volume calls on one connection. All throw Failed; they run on the connection's worker.

#include "hypervisor/module_interface.hpp"

#include <libvirt/libvirt.h>

namespace blockhost::libvirt::storage {

std::optional<PoolText> find_pool(virConnectPtr connection, const std::string& name);
void ensure_pool(virConnectPtr connection, const std::string& name, const std::string& xml);
void remove_pool(virConnectPtr connection, const std::string& name);

std::optional<VolumeView> find_volume(virConnectPtr connection, const std::string& path);
VolumeView create_volume(virConnectPtr connection, const std::string& pool, const std::string& xml);
void delete_volume(virConnectPtr connection, const std::string& path);
void grow_disk(virConnectPtr connection, const std::string& name, const std::string& path,
               std::uint64_t capacity_bytes);

} // namespace blockhost::libvirt::storage
