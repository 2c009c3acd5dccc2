// SPDX-License-Identifier: MIT
#pragma once
/// Restores the missing half of a VM: the record of a marked domain, or the mark of a domain that the 0.2.0
/// provisioner made.

#include "vm/observation.hpp"

namespace blockhost::safety {

/// The mark for a VM of the 0.2.0 provisioner, made from the record in `seen`.
DomainMark adopted_mark(const World& world, const Observation& seen, const OperationId& operation);

/// Writes the mark into a domain that only its record, disk and seed prove, so that libvirt's side proves it
/// too. Does nothing for any other domain.
void adopt_domain(World& world, const Observation& seen, const OperationId& operation);

/// The record that a marked domain describes; nothing when the mark is incomplete. The expiry is the mark's,
/// but at least `grace_days` after `when`, since the mark does not contain extensions.
std::optional<NewRecord> record_of(const VmName& name, const DomainMark& mark, std::int64_t grace_days,
                                   Instant when);

enum class Adoption {
    adopted,      ///< the VM has a record again
    late_arrival, ///< the domain came late from a create that was rolled back, and is gone
    not_needed,   ///< the VM has a record by now, or its domain is not marked
};

/// Gives the VM of `entry` a record again when its domain carries this instance's mark and no record has its
/// name. Throws Error{wrong_state} when the mark is incomplete, Error{exists} when another VM has one of its
/// addresses by now.
Adoption adopt_record(World& world, JournalEntry& entry);

} // namespace blockhost::safety
