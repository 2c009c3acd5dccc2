// SPDX-License-Identifier: MIT
#pragma once
/// What a VM leaves besides its domain and seed: disks, files and addresses.

#include "vm/context.hpp"

namespace blockhost {

/// Removes the console log and virtlogd's backups of it.
void remove_console_logs(const World& world, const VmName& name);
/// Removes `<metrics>/<name>.json`, and the `<vms>/<name>.xml` that the 0.2.0 provisioner leaves behind.
void remove_samples(const World& world, const VmName& name);

/// Throws Error{hypervisor} when a domain other than `but` has one of `disks`, or is backed by one.
void require_unused(World& world, const VmName& name, const std::vector<std::string>& disks,
                    const std::optional<VmName>& but = {});
/// Deletes `disks` only when no domain uses any of them. A look that fails keeps them all.
void delete_disks(World& world, const VmName& name, const std::vector<std::string>& disks);

/// The addresses of a VM that may be removed with it.
struct OwnAddresses {
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
};
/// `addresses` without those that another VM's live record or another open operation's note has by now.
/// Called right before routes or list entries are removed: an address may be given out in between.
OwnAddresses still_own(const World& world, const Database& database, const VmName& name,
                       OwnAddresses addresses);

/// The addresses in the marks of the domains that this instance made, except that of `name`. They count
/// whatever the database says: another program may have replaced it with an older copy.
Journal::Claims claims_of_domains(World& world, const VmName& name);

/// Takes those that are still the VM's own out of the lists. For Registry::change.
void free_addresses(const World& world, Database& database, const VmName& name,
                    const OwnAddresses& addresses);

/// Removes the routes and neighbour entries of the addresses, but none that another domain has. Warns of what
/// could not be removed.
void remove_routes(World& world, const VmName& name, const std::string& bridge,
                   const OwnAddresses& addresses);

/// Removes domains and volumes of that name that came late from operations known to be rolled back. The
/// caller holds the VM's entry.
void clear_late_arrivals(World& world, const VmName& name);

} // namespace blockhost
