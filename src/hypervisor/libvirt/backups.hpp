// SPDX-License-Identifier: MIT
#pragma once
/// Backup and checkpoint calls on one connection. All throw Failed; they run on the connection's worker.

#include "hypervisor/module_interface.hpp"

#include <libvirt/libvirt.h>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::libvirt::backups {

std::optional<std::string> under_way(virConnectPtr connection, const std::string& name);
std::vector<CheckpointView> checkpoints(virConnectPtr connection, const std::string& name);
void begin(virConnectPtr connection, const std::string& name, const std::string& backup_xml,
           const std::string& checkpoint_xml);
void end(virConnectPtr connection, const std::string& name);
void delete_checkpoint(virConnectPtr connection, const std::string& name, const std::string& checkpoint,
                       bool knowledge_alone);
void restore_checkpoint(virConnectPtr connection, const std::string& name, const std::string& xml);

} // namespace blockhost::libvirt::backups
