// SPDX-License-Identifier: MIT
#pragma once
/// Domain, volume, pool and filter XML: rendered from our types, and read back for what proves a domain ours.

#include "hypervisor/common/stats.hpp"
#include "hypervisor/xml/claim.hpp"
#include "model/address.hpp"
#include "model/vm.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// Everything that becomes domain XML (docs/contract.md, "Domain XML").
/// Whether a guest's network card has a cable, so to speak.
enum class Link { up, down };

struct DomainSpec {
    VmName name;
    Uuid uuid;
    bool kvm = true; ///< false: type qemu with a CPU model that TCG can do
    std::int64_t cpus = 1;
    std::int64_t memory_mib = 2048;
    std::string disk_path;
    std::string seed_path;
    std::string console_path; ///< log file of the serial console
    std::string bridge;
    Mac mac;
    std::string filter; ///< nwfilter's name; empty: none
    /// Direct kernel boot, for guests without a boot loader (tests); all empty: boot from the disk.
    std::string kernel, initrd, kernel_arguments;
    // metadata
    InstanceId instance;
    OperationId operation;
    std::string state_folder; ///< where this instance keeps its state: the start veto looks there
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
    std::string wallet, username, network_mode;
    std::string expires_at, created_at; ///< as the registry spells them
    std::optional<int> mtu = {};        ///< of its interface; nothing: the usual 1500
    Link link = Link::up;
};
std::string render_domain(const DomainSpec& spec);
/// What `xml`, text from outside, was rendered from; nothing unless render_domain makes exactly this text of
/// it, so that a definition has nothing in it that a DomainSpec does not say.
std::optional<DomainSpec> spec_of(const std::string& xml);

/// A domain that only shows whether a disk boots: no network, no seed, and no mark, since it is no VM.
struct TrialSpec {
    std::string name;
    Uuid uuid;
    bool kvm = true;
    std::int64_t memory_mib = 1024;
    std::string disk_path;
    std::string console_path;
    std::string kernel = {}, initrd = {}, kernel_arguments = {}; ///< as DomainSpec
};
std::string render_trial(const TrialSpec& spec);

/// The mark of a domain that is made by `spec`.
DomainMark mark_of(const DomainSpec& spec);
/// The definition with that element instead of whatever mark it had; empty: without.
std::string with_metadata(const std::string& xml, const std::string& mark);

/// What a definition shows that matters to us.
struct DomainFacts {
    std::string name, uuid;         ///< as the definition spells them; empty: none
    Claim claim;                    ///< what its metadata says of whose it is
    bool other_metadata = false;    ///< metadata of somebody else's namespace
    std::vector<std::string> disks; ///< source files of writable disks
    std::vector<std::string> seeds; ///< source files of CD-ROMs
    std::vector<std::string> macs;
    std::string bridge; ///< of the first bridge interface
    std::string console_log;
    std::uint64_t memory_mib = 0;
    unsigned cpus = 1;
};
/// Throws Error{hypervisor} when it cannot be parsed.
DomainFacts read_domain(const std::string& xml);

/// Where the content of a domain's disks comes from, as far as it is on this host; copies being made
/// included.
struct DiskSources {
    std::vector<std::string> files; ///< files and block devices, with the backing files that libvirt names
    std::vector<std::string> raw; ///< those that are read as they are: what a guest wrote there is no header
    struct Volume {
        std::string pool, volume;
    };
    std::vector<Volume> volumes;        ///< of storage pools
    std::vector<std::string> removable; ///< of CD-ROM and floppy drives, which may hold what is gone
};
/// Throws as read_domain.
DiskSources disk_sources(const std::string& xml);
/// The files of this host that a definition has QEMU boot from, or keep a firmware's variables in. Throws as
/// read_domain.
std::vector<std::string> boot_files(const std::string& xml);
/// The first interface with an address and the first disk in a definition. Throws as read_domain.
TunedDevices tuned_devices(const std::string& xml);

/// A qcow2 image with compat 1.1; owner and mode as libvirt's default.
struct VolumeSpec {
    std::string name;
    std::uint64_t capacity_bytes = 0;
    std::string backing; ///< what it stands on, qcow2 too; empty: nothing
};
std::string render_volume(const VolumeSpec& spec);

/// A dir pool on folder `path`, made 0711 when it is missing: QEMU reaches its disks through it.
std::string render_pool(const std::string& name, const std::string& path);
/// The target folder in a pool's definition. Throws Error{hypervisor} when it cannot be parsed or has none.
std::string pool_target(const std::string& xml);

/// Anti-spoofing: pins MAC, IPv4 and ARP (and IPv6 with neighbour discovery) to the variables MAC, IP and
/// IPV6; no router advertisements, no redirects, no DHCP server answers from the guest. Two filters: with and
/// without IPv6, since an unset variable keeps a domain from starting. The filter's uuid follows from its
/// name: libvirt updates a filter only when name and uuid agree, and leaves the rules of running domains
/// alone when nothing changed.
enum class FilterKind { ipv4, ipv4_and_ipv6 };
std::string filter_name(FilterKind kind, bool default_root, const InstanceId& instance);
struct FilterSpec {
    FilterKind kind = FilterKind::ipv4;
    std::string name;
};
std::string render_filter(const FilterSpec& spec);

/// Metadata namespace: part of what proves a domain ours. Never changes.
inline constexpr const char* metadata_namespace = "https://blockhost.io/ns/blockhost-libvirt/1";
inline constexpr const char* metadata_prefix = "blockhost";

} // namespace blockhost
