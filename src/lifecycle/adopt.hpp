#pragma once
/// What lost one half gets it back: a domain of ours without a record its record, a domain that the 0.2.0
/// provisioner made our mark.

#include "lifecycle/world.hpp"

namespace blockhost {

/// Writes our mark into a domain that is ours by its record, disk and seed alone, so that libvirt's side
/// proves it too; does nothing for any other.
void adopt_domain(World& world, const Observation& seen, const OperationId& operation);

/// The record that a marked domain describes. Its expiry is the mark's, but never sooner than `grace_days`
/// from `when`: an extension is not in the mark. Nothing when the mark is not whole.
std::optional<NewRecord> record_of(const VmName& name, const DomainMark& mark, std::int64_t grace_days,
                                   Instant when);

enum class Adoption {
    adopted,      ///< it has a record again
    late_arrival, ///< it came too late from a create that was rolled back, and was removed
    not_needed,   ///< it has a record by now, or is gone
};

/// Registers the VM of `entry` again when its domain is marked as ours and no record has its name. Throws
/// Error{wrong_state} when the mark is not whole, Error{exists} when another VM has one of its addresses by
/// now.
Adoption adopt_record(World& world, JournalEntry& entry);

} // namespace blockhost
