// SPDX-License-Identifier: MIT
#pragma once
/// Finds the files that are a VM's disks: the chains in its definitions, down to the template.

#include "vm/observation.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost {

/// The VM and the operation in the file name of a disk that a create made, "<name>.<operation>.qcow2", or of
/// an overlay that libvirt itself put on one, "<name>.<operation>.<snapshot>". The instance may be any.
struct DiskName {
    VmName vm;
    OperationId operation;
};
std::optional<DiskName> disk_name(std::string_view file);

/// Whether a file in the storage folder belongs to a VM, by the file's name and header.
enum class DiskProof {
    none,
    ours, ///< it has the name of a disk that this instance made for the VM, or of an overlay on one, or is
          ///< backed by such a file
    old,  ///< NAME.qcow2, the 0.2.0 provisioner's name of a disk, or an overlay on such a file
};
/// `file` may be outside text.
DiskProof disk_proof(const World& world, const VmName& name, const std::string& file);

/// The disks that may be deleted with this VM, with all their layers down to the template: file names in the
/// storage folder, each overlay before the file that backs it. Other attached disks stay, with a warning. All
/// or nothing: throws Error{io} when a file that should be there cannot be seen; Error{wrong_state} when a
/// layer is not provably the VM's or lies elsewhere, while a block copy is made, and when a file that is no
/// part of the VM is backed by one of them.
std::vector<std::string> disks_of(World& world, const Observation& seen);

} // namespace blockhost
