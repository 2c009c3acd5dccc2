// SPDX-License-Identifier: MIT
#pragma once
/// Proxmox's property strings: "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1",
/// "local:100/disk.qcow2,size=8G" (pve-common, src/PVE/JSONSchema.pm, parse_property_string).

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::platform::proxmox {

/// The properties by key. A bare value stands under the key that the call names for it.
using Properties = std::map<std::string, std::string, std::less<>>;

/// Reads a property string. At most one part may lack a key; it gets `default_key`. Blanks around parts and
/// empty parts are skipped, as nodes do. Nothing for a key that stands twice, an empty key, a bare part where
/// `default_key` is empty, or more than 8 KiB.
std::optional<Properties> parse_properties(std::string_view text, std::string_view default_key = {});

/// Writes them by key, the bare value first (with its key where it would be misread without): two texts that
/// mean the same become equal, so configurations can be compared. Booleans are not known here: "1" and "on"
/// stay different.
std::string write_properties(const Properties& properties, std::string_view default_key = {});

} // namespace blockhost::platform::proxmox
