// SPDX-License-Identifier: MIT
#pragma once
/// A domain's limits, read and set. All throw Failed; they run on the connection's worker.

#include "hypervisor/views.hpp"

#include <libvirt/libvirt.h>
#include <string>

namespace blockhost::libvirt::tuning {

Tuning read(virConnectPtr connection, const std::string& name, const TunedDevices& devices, TuningOf which);
void set(virConnectPtr connection, const std::string& name, const TunedDevices& devices, Subsystem subsystem,
         const Tuning& wanted, TuningOf which);

} // namespace blockhost::libvirt::tuning
