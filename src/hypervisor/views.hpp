// SPDX-License-Identifier: MIT
#pragma once
/// What a hypervisor shows: plain structs, which cross the libvirt module's border too.

#include "hypervisor/common/stats.hpp"
#include "model/power.hpp"

#include <cstdint>
#include <string>

namespace blockhost {

/// A domain by name: what the bulk state call shows.
struct DomainState {
    std::string name; ///< as libvirt spells it; need not be a VmName
    PowerState state = PowerState::unknown;
    std::string reason = {}; ///< of the state, in words; see Power
};

/// What a domain may take of the host.
struct DomainUse {
    std::string name, uuid;
    std::uint64_t memory_mib = 0;
    std::string metadata; ///< XML that has our mark, if the domain is marked; see claim_of
};

/// A domain in full.
struct DomainView {
    std::string name, uuid;
    PowerState state = PowerState::unknown;
    std::string reason; ///< libvirt's reason of the state, in words ("booted", "panicked"); may be empty
    std::string xml; ///< the definition; of one that has none, what it runs with, in the form of a definition
    bool persistent = true; ///< false: it has no definition, and is gone when it goes off
};

struct VolumeView {
    std::string path;
    std::uint64_t capacity_bytes = 0, allocation_bytes = 0;
};

struct PoolView {
    std::string name;
    std::string path; ///< the target folder
    bool active = false;
    std::uint64_t capacity_bytes = 0, available_bytes = 0;
};

struct HostView {
    std::uint64_t memory_mib = 0;
    unsigned cpus = 0;
};

/// A moment from which on the writes to a domain's disks are recorded.
struct CheckpointView {
    std::string name;
    std::string xml; ///< with which it can be defined again
};

/// What libvirt is doing with a running domain's disk in the background.
struct BlockJob {
    bool commits = false; ///< its uppermost layer into a lower one
    bool ready = false;   ///< all is there; what is written from now on is written to both
    std::uint64_t done_bytes = 0, all_bytes = 0;
};
enum class JobEnd {
    pivot,   ///< the disk is the lower layer from now on
    abandon, ///< the disk stays as it is
};

/// What a wait ended with.
enum class Wake { lifecycle, agent_connected, agent_disconnected, timeout };

/// One of libvirt's networks.
struct LibvirtNetwork {
    std::string name, xml;
    bool active = false, autostart = false;
};

} // namespace blockhost
