// SPDX-License-Identifier: MIT
#pragma once
/// VMs of this instance whose domains libvirt has under another name than create gave them. Neither name
/// stands for one of its VMs then.

#include "config/config.hpp"
#include "hypervisor/hypervisor.hpp"
#include "model/names.hpp"

#include <map>
#include <string>

namespace blockhost {

/// What libvirt calls each renamed domain now, by the VM's name.
using RenamedDomains = std::map<std::string, std::string>;
RenamedDomains renamed_domains(Observer& observer, const InstanceId& instance);

/// The same for verbs that only look; empty when the instance is not known, or libvirt does not answer.
RenamedDomains renamed_domains_if_known(Observer& observer, const Paths& paths) noexcept;

/// Error{foreign}: the VM `name` is called `now` in libvirt.
Error renamed(const std::string& name, const std::string& now);

} // namespace blockhost
