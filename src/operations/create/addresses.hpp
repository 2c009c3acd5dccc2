// SPDX-License-Identifier: MIT
#pragma once
/// Which addresses a new VM gets.

#include "operations/create/settings.hpp"

namespace blockhost::operations {

/// Addresses that somebody has although the database may not say so. Operations are looked at first: one that
/// is over by the second look has left a domain.
Journal::Claims claimed_elsewhere(World& world, const VmName& name);

/// The addresses that a VM had before.
struct FormerAddresses {
    std::optional<Ipv4> ip;
    std::optional<Ipv6> ipv6;
};

/// The former addresses, each where it is one of this host's and neither the database, the host, a domain nor
/// an open operation has it; otherwise the first that is free. What had IPv4 alone gets no more. Throws
/// Error{no_room} when no IPv4 address is.
Addresses choose(const World& world, const VmName& name, const Settings& settings, const Database& database,
                 const Journal::Claims& elsewhere, const FormerAddresses& former);

/// A VM is made without IPv6 when the host has a prefix but no free address; this warning says why.
void warn_of_a_used_up_pool(const World& world, const Settings& settings, const Addresses& chosen);

} // namespace blockhost::operations
