// SPDX-License-Identifier: MIT
#pragma once
/// Forbids a VM's start to everybody: libvirtd asks our hook program, which looks at a file that these
/// functions write (hypervisor/files/start_veto.hpp). All may be repeated.

#include "vm/context.hpp"

namespace blockhost {

/// Forbids the start of the VM, durably once this returns, where the hook is installed. `uuid` is its
/// domain's; empty: any domain of that name. Throws Error{io}.
void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since);
/// Allows the start again. Throws Error{io}.
void allow_start(World& world, const VmName& name);
/// Whether the hook would keep the VM off. Throws Error{io} when the file cannot be read.
bool start_forbidden(const World& world, const VmName& name);

} // namespace blockhost
