// SPDX-License-Identifier: MIT
#pragma once
/// The configuration files of a BlockHost machine, each read into a plain struct (docs/contract.md,
/// "Configuration"). A file is absent on ENOENT only. A file that cannot be read or parsed, or is empty, is
/// an Error{config} that names it, with line and column.

#include "config/paths.hpp"
#include "model/address.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>
#include <vector>

namespace blockhost {

enum class DomainType { automatic, kvm, qemu };

/// The IPv4 addresses that VMs get: `first` to `last` in `network`.
struct Ipv4Pool {
    Ipv4Network network;
    Ipv4 first, last;            ///< inclusive, both inside the network
    std::optional<Ipv4> gateway; ///< inside the network
};

/// db.yaml. Every key is optional; the contract gives the defaults.
struct DbConfig {
    std::filesystem::path db_file;
    std::string bridge = "br0";
    std::string storage_pool = "blockhost";
    std::filesystem::path storage_path;
    std::int64_t gc_grace_days = 7;
    std::int64_t default_expiry_days = 30;
    Ipv4Pool ipv4;
    std::uint64_t ipv6_first = 2, ipv6_last = 254; ///< offsets into the broker's prefix
    DomainType domain_type = DomainType::automatic;
    std::vector<std::string> resolvers; ///< empty: the gateway
    /// Direct kernel boot, for templates without a boot loader; empty: boot from the disk.
    std::string boot_kernel = {}, boot_initrd = {}, boot_arguments = {};
    std::string template_url = {}; ///< of the image that templates are made from; empty: Debian's
    double memory_overcommit = 1.0;
    double disk_overcommit = 10.0;
};

/// Throws Error{config} "Config not found: <path> (run wizard first)" when db.yaml is missing; for a wrong
/// value, Error{config} that names file, line, column and key. Unknown keys are ignored; of a repeated key
/// the last counts. Paths in the file must be absolute and are used as written; only built-in defaults lie
/// under paths.root.
DbConfig read_db_config(const Paths& paths);

/// What create reads from web3-defaults.yaml: auth.otp_length and auth.otp_ttl_seconds, whole numbers, as
/// text.
struct Web3Defaults {
    std::string otp_length = "6";
    std::string otp_ttl = "300";
    bool found = false; ///< the file exists
};
Web3Defaults read_web3_defaults(const Paths& paths);

/// The part of web3-defaults.yaml for mint-nft. Values are checked where they are used. The URL may hold a
/// secret and is never shown whole.
struct ChainConfig {
    std::string rpc_url, nft_contract;
    std::filesystem::path key_file;
    std::optional<std::uint64_t> chain_id;
    std::uint64_t max_fee_gwei = 500; ///< per gas
};
/// Throws Error{config} when the file or one of the first three values is missing.
ChainConfig read_chain_config(const Paths& paths);

struct BrokerAllocation {
    Ipv6Prefix prefix;
    std::string dns_zone; ///< empty when not given
    /// prefix+1, the gateway of VMs.
    Ipv6 gateway() const;
};
/// Nothing when the file is missing or its prefix is "" (manual mode without IPv6): VMs get no IPv6. Throws
/// Error{config} for anything else that is not a prefix with addresses for machines.
std::optional<BrokerAllocation> read_broker_allocation(const Paths& paths);

/// What this program reads from the engine manifest.
struct EngineManifest {
    bool found = false;          ///< an engine is installed, which makes the login template mandatory
    std::string address_pattern; ///< empty when the manifest has none
};
/// Throws Error{config} when the manifest cannot be read, or its pattern is not a regular expression.
EngineManifest read_engine_manifest(const Paths& paths);

/// The one enabled network mode: the only `<mode>.json` in network-modes.enabled/ (a dangling link counts)
/// or, when that folder is missing or has none, the line in the file network-mode. Throws Error{config} when
/// none or several are enabled.
std::string read_network_mode(const Paths& paths);

/// This instance's id, made at first need and stored in paths.state (0644). Processes that make it at the
/// same time all get the same id. Throws Error{config} when the file holds no id, Error{io}.
InstanceId instance_id(const Paths& paths);
/// The same, but nothing when there is no id yet.
std::optional<InstanceId> existing_instance_id(const Paths& paths);

/// The storage pool's name in libvirt, which all instances share: plain at the default root, else with the
/// instance's tag.
std::string pool_name(const DbConfig& config, const Paths& paths, const InstanceId& instance);

} // namespace blockhost
