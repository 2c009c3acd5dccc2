// SPDX-License-Identifier: MIT
#pragma once
/// Backups and checkpoints of the simulated world. A frozen disk is a copy of the image, read as a file;
/// nothing is recorded of what the guest writes since a checkpoint, since it writes nothing.

#include "hypervisor/simulated/store.hpp"
#include "hypervisor/views.hpp"
#include "hypervisor/xml/backup.hpp"

namespace blockhost::simulated {

// Each wants the world entered, and refuses what libvirt refuses; see Hypervisor.
FrozenExport begin_backup(const Store& store, const std::string& name, const BackupSpec& spec);
void end_backup(const Store& store, const std::string& name);
std::vector<CheckpointView> checkpoints(const Store& store, const std::string& name);
void delete_checkpoint(const Store& store, const std::string& name, const std::string& checkpoint,
                       bool knowledge_alone);
void restore_checkpoint(const Store& store, const std::string& name, const CheckpointView& checkpoint);

} // namespace blockhost::simulated
