// SPDX-License-Identifier: MIT
#pragma once
/// Domain, host and filter calls on one connection. All throw Failed; they run on the connection's worker.

#include "hypervisor/libvirt/handles.hpp"
#include "hypervisor/module_interface.hpp"

#include <libvirt/libvirt.h>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::libvirt::domains {

/// Throws Code::not_found.
Domain must_find(virConnectPtr connection, const std::string& name);
/// Throws Code::wrong_state for a domain that has no such side: off, or not defined.
void require_side(virDomainPtr domain, const std::string& name, TuningOf which);

std::optional<Power> power(virConnectPtr connection, const std::string& name);
std::string disk_trouble(virConnectPtr connection, const std::string& name);
std::vector<std::string> undefined(virConnectPtr connection);
std::optional<DomainView> find(virConnectPtr connection, const std::string& name);
std::vector<std::string> other_definitions(virConnectPtr connection, const std::string& name);
std::vector<DomainState> states(virConnectPtr connection);
std::vector<DomainUse> uses(virConnectPtr connection);
HostView host(virConnectPtr connection);

void define(virConnectPtr connection, const std::string& xml);
void redefine(virConnectPtr connection, const std::string& name);
void start(virConnectPtr connection, const std::string& name);
void start_transient(virConnectPtr connection, const std::string& xml);
void unpause(virConnectPtr connection, const std::string& name);
void shutdown(virConnectPtr connection, const std::string& name);
void power_off(virConnectPtr connection, const std::string& name);
void undefine(virConnectPtr connection, const std::string& name);
void set_interface(virConnectPtr connection, const std::string& name, const std::string& xml, TuningOf which);
void bind_filter(virConnectPtr connection, const std::string& name, const std::string& tap,
                 const std::string& xml);
void set_metadata(virConnectPtr connection, const std::string& name, const std::string& xml);
void configure(virConnectPtr connection, const std::string& name, const SettingsText& settings);

void ensure_filter(virConnectPtr connection, const std::string& name, const std::string& xml);
void remove_filter(virConnectPtr connection, const std::string& name);

} // namespace blockhost::libvirt::domains
