// SPDX-License-Identifier: MIT
#pragma once
/// The step of setup that writes db.yaml.

#include "setup/site.hpp"

namespace blockhost::setup {

/// The values that were given, as text.
struct DbWish {
    std::optional<std::string> pool, path, bridge, ip_network, ip_start, ip_end, gateway, gc_grace_days;
    bool dry_run = false;
};
struct Warning {
    std::string field, message;
};
struct DbDone {
    bool changed = false; ///< in a dry run: it would be
    std::filesystem::path file;
    DbConfig config;
    std::vector<Warning> warnings;
};
/// Makes db.yaml contain the values given and, where it was new, all that the contract needs.
DbDone settle_db_config(const Site& site, const DbWish& wish);

/// Warnings of values that are legal but will cause harm. `bridge` is the VMs' bridge.
std::vector<Warning> dangers(const Ipv4Pool& pool, const std::string& bridge,
                             const std::vector<host::Interface>& interfaces,
                             const std::vector<DhcpRange>& ranges);

/// How db.yaml writes one end of the pool: the last octet, which every reader understands, where the whole
/// network shares the first three; else the whole address.
std::string pool_end_text(const Ipv4Network& network, Ipv4 address);

} // namespace blockhost::setup
