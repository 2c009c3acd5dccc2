// SPDX-License-Identifier: MIT
#pragma once
/// A guest as every platform shows it: the same words for a VM of libvirt's and for a VM or container of a
/// Proxmox node.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace blockhost::platform {

enum class Kind { vm, container };
std::string_view to_string(Kind kind);

enum class Power {
    running,
    stopped,
    paused,
    suspended, ///< its memory is on disk
    unknown,   ///< it could not be read, or the platform is between two states
};
std::string_view to_string(Power power);

/// The platform's own name of a guest: a VM's name under libvirt, "140" on a Proxmox node.
using GuestId = std::string;

/// Tells a guest from a later one of the same id: "uuid:…" under libvirt, "vmgenid:…" or "created:…" on a
/// Proxmox node. Empty where the platform gives nothing to tell by.
using Incarnation = std::string;

/// A configuration in normal form: two that mean the same are equal. What a platform leaves out because it is
/// its default is absent here, too.
struct GuestConfig {
    std::string name; ///< the host name
    std::optional<int> cpus;
    std::optional<std::int64_t> memory_mib;
    std::optional<std::int64_t> disk_mib; ///< of the first disk
    std::string description;              ///< without blanks and newlines at its end
    std::set<std::string> tags;           ///< in lower case
    bool start_on_boot = false;
    bool is_protected = false; ///< the platform itself refuses to destroy it
    /// The rest, by the platform's own keys: property strings with their keys in order, booleans as "1" or
    /// absent.
    std::map<std::string, std::string> details;
    bool operator==(const GuestConfig&) const = default;
};

/// A description without blanks and newlines at its end: a node adds one.
std::string normal_description(std::string_view text);
/// A tag in lower case, which is all that a node keeps of it.
std::string normal_tag(std::string_view text);

/// What could be learnt of one guest.
struct Guest {
    GuestId id;
    Kind kind = Kind::vm;
    Power power = Power::unknown;
    std::string name;
    Incarnation incarnation;
    std::optional<GuestConfig> config; ///< what it will have; nothing when it was not read
    /// The configuration has what a list tells: names, sizes, tags. What else it says is not known.
    bool is_partial = false;
    std::optional<GuestConfig> running; ///< what it has now, where that differs from `config`
    std::string digest;                 ///< changes with the configuration; opaque
    std::string lock;                   ///< why the platform refuses changes ("backup"); empty: it does not
    std::string unreadable;             ///< why it could not be read; empty: it could
};

} // namespace blockhost::platform
