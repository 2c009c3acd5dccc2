// SPDX-License-Identifier: MIT
#pragma once
/// The records of writes in a VM's disk, by which its next backup reads only what changed.

#include "vm/observation.hpp"

namespace blockhost::operations {

/// What is wrong with them, a sentence for people each; empty while the VM is on, where all is well, and for
/// who may not read the disk. QEMU goes on without a record that was not closed; a list that cannot be
/// understood may keep the VM from starting.
std::vector<std::string> lost_records(const World& world, const Observation& seen);

} // namespace blockhost::operations
