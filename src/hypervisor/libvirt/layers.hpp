// SPDX-License-Identifier: MIT
#pragma once
/// A domain's disk in layers: overlays put on it, and committed. All throw Failed; they run on the
/// connection's worker.

#include "hypervisor/views.hpp"

#include <libvirt/libvirt.h>
#include <optional>
#include <string>

namespace blockhost::libvirt::layers {

std::optional<BlockJob> block_job(virConnectPtr connection, const std::string& name,
                                  const std::string& target);
void set_disk(virConnectPtr connection, const std::string& name, const std::string& xml);
void add_layer(virConnectPtr connection, const std::string& name, const std::string& xml);
void commit_layer(virConnectPtr connection, const std::string& name, const std::string& target,
                  const std::string& into);
void end_block_job(virConnectPtr connection, const std::string& name, const std::string& target, JobEnd end);

} // namespace blockhost::libvirt::layers
