#pragma once
/// What one VM leaves outside of its domain and seed: disks, files, and addresses.

#include "lifecycle/world.hpp"

namespace blockhost {

/// The console log and the backups virtlogd turns over.
void remove_console_logs(const World& world, const VmName& name);
/// `<metrics>/<name>.json`, and `<vms>/<name>.xml` that the 0.2.0 provisioner leaves behind.
void remove_samples(const World& world, const VmName& name);

/// The disks that are this VM's to delete, by their file names in the storage folder: volumes that carry one
/// of our operations' ids and its name, and the one disk the 0.2.0 provisioner made, where a domain that is
/// ours has it. Others that are attached stay, with a warning. Throws Error{io} when one that should be there
/// cannot be seen.
std::vector<std::string> disks_of(World& world, const Observation& seen);
/// Deletes them, only with no domain on any of them. A failing look keeps them all.
void delete_disks(World& world, const VmName& name, const std::vector<std::string>& disks);

/// The addresses of a VM that may go with it.
struct OwnAddresses {
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
};
/// `addresses` without those that somebody else has by now: another VM's live record, or another open
/// operation's note. Asked again right before routes or list entries are removed: an address may be given out
/// meanwhile.
OwnAddresses still_own(const World& world, const Database& database, const VmName& name,
                       OwnAddresses addresses);

/// The addresses that domains of ours but `name`'s have by their marks, whatever the database says: another
/// program may have rewritten it with an older copy.
Journal::Claims claims_of_domains(World& world, const VmName& name);

/// Takes them out of the lists. For Registry::change.
void free_addresses(const World& world, Database& database, const VmName& name,
                    const OwnAddresses& addresses);

/// Removes their routes and neighbour entries, but none that another domain has; warns of what could not be
/// removed.
void remove_routes(World& world, const VmName& name, const std::string& bridge,
                   const OwnAddresses& addresses);

/// Removes domains and volumes of that name that operations known to be rolled back left too late to be seen
/// then. The caller holds the VM's entry.
void clear_late_arrivals(World& world, const VmName& name);

} // namespace blockhost
