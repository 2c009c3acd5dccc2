// SPDX-License-Identifier: MIT
#pragma once
/// Reads guests' configurations as a Proxmox node tells them, into their normal form. Types wander between
/// releases: every scalar may come as string, number or boolean.

#include "platform/guest.hpp"

#include <boost/json/object.hpp>

namespace blockhost::platform::proxmox {

/// A scalar as text: "192" for 192 and for "192", "1" and "0" for booleans. Nothing for null, lists, objects.
std::optional<std::string> scalar(const boost::json::value& value);
/// The member's text; nothing when it is absent or no scalar.
std::optional<std::string> scalar(const boost::json::object& object, std::string_view key);
/// The member as a whole number; nothing when it is none.
std::optional<std::int64_t> number(const boost::json::object& object, std::string_view key);
/// "1", "on", "yes" and "true" mean yes, as nodes read them; what is absent means `otherwise`.
bool flag(const boost::json::object& object, std::string_view key, bool otherwise = false);

/// "8G", "512M", "1.5T", "0T", or bytes without a unit (pve-common, parse_size) in MiB, rounded down.
std::optional<std::int64_t> size_mib(std::string_view text);

/// "a;b", "A, b" and "b a" are the same two tags (pve-common, src/PVE/Tools.pm, split_list).
std::set<std::string> tags_in(std::string_view text);

/// What GET …/config told.
GuestConfig config_of(const boost::json::object& told, Kind kind);

/// Of a VM its vmgenid, which a clone, a restore and a rollback renew: what was decided of the guest of
/// before is not decided of this one. Where a VM has none ("0" or absent), its SMBIOS uuid and when it was
/// created, which a restore keeps. A node tells no such thing of a container: there it is the address of its
/// first network device and its root volume, which a new container under the same id has only if it was given
/// this one's address. Empty where part of it is not told: then nothing is done that could lose its data.
Incarnation incarnation_of(const boost::json::object& told, Kind kind);

/// "net0", "net12".
bool is_network_device(std::string_view key);
/// A network device as a configuration has it, without its MAC address: a node makes one.
std::string without_address(const std::string& device);

} // namespace blockhost::platform::proxmox
