// SPDX-License-Identifier: MIT
#pragma once
/// Which platform this host is.

#include "config/agent_json.hpp"
#include "platform/platform.hpp"
#include "vm/context.hpp"

#include <memory>

namespace blockhost::platform {

/// Opens the platform that `<etc>/agent.json` names; this host's libvirt where there is no such file. `check`
/// as in http::Session. Its member "platform" is an object:
///   "kind"            "libvirt" (and nothing else), or "proxmox" with
///   "origin"          "https://HOST:8006"
///   "node"            the node's name in its cluster
///   "token_file"      absolute; see proxmox::Access
///   "pins"            texts as http::parse_pin reads them; or "ca_file", absolute
///   "backup_storage", "disk_storage"   names of storages; may be left out
/// Throws Error{config}, naming file and member, for anything else.
std::unique_ptr<Platform> open_platform(const Paths& paths, Reality reality, std::function<void()> check);

/// Throws as open_platform where the file makes no sense; opens nothing.
void require_sound(const AgentJson& agent);

/// Whether that file names a node of Proxmox VE. Opens nothing. Throws as open_platform.
bool is_proxmox(const Paths& paths, Reality reality);

} // namespace blockhost::platform
