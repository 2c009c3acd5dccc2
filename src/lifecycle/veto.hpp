#pragma once
/// Forbidding a VM's start to everybody: libvirtd asks our hook program, which looks at a file that these
/// write (hypervisor/start_veto.hpp). All may be repeated.

#include "lifecycle/world.hpp"

namespace blockhost {

/// From when this returns, durably, no start of the VM gets through, where the hook is installed. `uuid`: of
/// its domain; empty: whatever domain has its name. Throws Error{io}.
void forbid_start(World& world, const VmName& name, const std::string& uuid, Instant since);
/// Takes that back. Throws Error{io}.
void allow_start(World& world, const VmName& name);
/// Whether the hook would keep the VM off. Throws Error{io} when the file cannot be read.
bool start_forbidden(const World& world, const VmName& name);

} // namespace blockhost
