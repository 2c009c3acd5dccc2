// SPDX-License-Identifier: MIT
/// db.yaml and web3-defaults.yaml.

#include "config/db_yaml.hpp"
#include "config/db_yaml_keys.hpp"
#include "model/vm.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace blockhost;

namespace {

/// The configuration's folder, with web3-defaults.yaml in memory.
struct Root {
    fuzz::MemoryFolder folder;
    fuzz::MemoryFile web3;
    Paths paths;
    Root() {
        paths.root = "/";
        paths.etc = folder.path();
        paths.state = std::filesystem::path("/var/lib/blockhost");
        paths.disks = {paths.state, "vms"};
        std::filesystem::create_symlink(web3.path(), paths.web3_defaults());
    }
};

void check_bounds(const DbConfig& config) {
    const Ipv4Pool& pool = config.ipv4;
    fuzz::check(pool.first <= pool.last && pool.network.contains(pool.first) &&
                    pool.network.contains(pool.last),
                "the pool lies in its network");
    fuzz::check(!pool.gateway || pool.network.contains(*pool.gateway), "the gateway lies in the network");
    fuzz::check(config.ipv6_first >= 1 && config.ipv6_first <= config.ipv6_last,
                "the IPv6 pool has an order");
    fuzz::check(config.gc_grace_days >= 0 && config.gc_grace_days <= limits::expiry_days_max,
                "days of grace");
    fuzz::check(config.default_expiry_days >= 1 && config.default_expiry_days <= limits::expiry_days_max,
                "days until expiry");
    fuzz::check(config.memory_overcommit >= 0.1 && config.memory_overcommit <= 100, "memory overcommit");
    fuzz::check(config.disk_overcommit >= 0.1 && config.disk_overcommit <= 1000, "disk overcommit");
    fuzz::check(is_bridge_name(config.bridge) && is_pool_name(config.storage_pool), "names");
    fuzz::check(config.db_file.is_absolute() && config.storage_path.is_absolute(), "paths are absolute");
    for (const std::string& each : config.resolvers)
        fuzz::check(Ipv4::try_parse(each) || Ipv6::try_parse(each), "resolvers are addresses");
}

void db_yaml(std::string_view input) {
    static Root root;
    const std::string text(input);
    fuzz::answered([&] { check_bounds(parse_db_config(text, root.paths)); });
    for (const char* key : {"bridge", "ip_pool.network", "ipv6_pool.end"})
        fuzz::answered([&] { (void)db_yaml_gives(text, root.paths, key); });
    root.web3.set(input);
    fuzz::answered([&] {
        const Web3Defaults defaults = read_web3_defaults(root.paths);
        const int length = std::stoi(defaults.otp_length), ttl = std::stoi(defaults.otp_ttl);
        fuzz::check(length >= 1 && length <= 64 && ttl >= 1 && ttl <= 1'000'000,
                    "one-time passwords have bounds");
    });
}

} // namespace

FUZZ_TARGET(db_yaml)
