// SPDX-License-Identifier: MIT
#pragma once
/// Configuring a VM: its definition says something else, its disk is larger. Rolls forward after a death.
/// Description, tags and disk change at once; a VM that runs has its CPUs and memory from its next start on.

#include "hypervisor/xml/settings.hpp"
#include "operations/operation.hpp"
#include "vm/observation.hpp"

#include <filesystem>

namespace blockhost::operations {

struct ConfigureRequest {
    VmName name;
    DomainSettings settings = {};
    std::optional<std::int64_t> disk_mib = {}; ///< of its first disk, which never becomes smaller
    /// SHA-256 of the definition that the caller saw; empty: whichever there is.
    std::string seen_digest = {};
};

struct Configured {
    bool has_changed = false;
    /// It runs, and has the new CPUs or memory from its next start on.
    bool waits_for_start = false;
};

/// Throws Error{busy} when the definition is not the one that the caller saw; Error{invalid} for what no VM
/// or no VM of this host can have, and for a smaller disk; Error{no_room} as create; Error{wrong_state} for
/// the disk of a VM whose memory is saved.
Configured configure(World& world, const ConfigureRequest& request);

/// Throws Error{invalid} for fewer or more CPUs, or less or more memory, than a VM of this host can have.
void require_fits_host(World& world, const DomainSettings& settings);
/// The file of the VM's first disk. Throws Error{wrong_state} unless it lies in the storage folder and is
/// provably the VM's.
std::filesystem::path first_disk(const World& world, const Observation& seen);

extern const OperationRow configure_operation;

} // namespace blockhost::operations
