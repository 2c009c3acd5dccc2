#pragma once
/// What one VM leaves outside of its domain, disk and seed: files, and addresses.

#include "lifecycle/world.hpp"

namespace blockhost {

/// The console log and the backups virtlogd turns over.
void remove_console_logs(const World& world, const VmName& name);
/// `<metrics>/<name>.json`, and `<vms>/<name>.xml` that the 0.2.0 provisioner leaves behind.
void remove_samples(const World& world, const VmName& name);

/// Whether somebody else has the address now: another VM's live record, or another open operation's note.
template<class Address>
bool used_by_another(const World& world, const Database& database, const VmName& name,
                     const Address& address) {
    return database.held_by_another(name, address) || world.journal.claimed_by_another(name, address);
}

/// Takes `name`'s addresses out of the lists, except those that somebody else has by now. For
/// Registry::change.
void free_addresses(const World& world, Database& database, const VmName& name, const std::optional<Ipv4>& ip,
                    const std::optional<Ipv6>& ipv6);

} // namespace blockhost
