// SPDX-License-Identifier: MIT
#pragma once
/// What start, resume and boot share besides bring_up.hpp: what a domain needs of its host before it runs,
/// and whether an admin wants it off.

#include "vm/observation.hpp"

namespace blockhost::safety {

/// Starts a domain of this instance that is off; no other code starts one. For root, libvirt opens files that
/// the blockhost user may have planted: root checks them first, and throws as require_nothing_planted. Other
/// users start it through root, who checks then, or through a libvirt that they command anyway.
void start_domain(World& world, const VmName& name);

/// Opens the folders of its disks to QEMU where they were closed since it ran last. Warns of those that it
/// could not open.
void open_way_to_disks(World& world, const DomainFacts& facts);

/// Marks that tell boot that an admin wants a VM off. All may be repeated.
void keep_off(World& world, const VmName& name);
void keep_off_no_more(World& world, const VmName& name);
/// Removes what a keep_off that failed or died left beside the mark. The caller holds the VM's entry.
void forget_half_kept_off(World& world, const VmName& name);
bool is_kept_off(const World& world, const VmName& name);

} // namespace blockhost::safety
