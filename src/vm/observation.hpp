// SPDX-License-Identifier: MIT
#pragma once
/// One VM, looked at from three sides: its record, its domain, its journal entry.

#include "hypervisor/xml/domain.hpp"
#include "vm/context.hpp"
#include "vm/state.hpp"

namespace blockhost {

/// Why a domain counts as this instance's.
enum class Proof {
    none,      ///< it does not
    mark,      ///< its metadata, name and uuid are those that a create of this instance gave it
    adoptable, ///< a VM of the 0.2.0 provisioner: its record, disk path and seed path agree
};

struct Observation {
    VmName name;
    std::optional<VmRecord> record;
    std::optional<DomainView> domain;
    DomainFacts facts; ///< of the domain; empty without one
    Proof proof = Proof::none;
    std::optional<DomainMark> mark = {}; ///< when the mark is the proof
    std::string stranger = {};           ///< what the domain of that name is, when it is not this instance's
    std::string renamed_to = {};         ///< with a record but no domain: what libvirt calls the domain now
    VmState state = VmState::absent;
};

/// Looks at the registry and at the hypervisor. The caller, who holds the entry, tells the journal's side.
/// Throws when either look fails: a failed look is not an empty look.
Observation observe(World& world, const VmName& name, EntrySeen entry = EntrySeen::none);

/// The same with a record that was read before, or none.
Observation observe(World& world, const VmName& name, std::optional<VmRecord> record, EntrySeen entry);

/// Whether the domain of that name is provably this instance's: by the mark alone, or with the record as
/// proof.
Proof proof_of(const World& world, const VmName& name, const std::optional<VmRecord>& record,
               const DomainFacts& facts);

/// The verdict table's row for `seen` and `verb`. Throws the verdict's Error when it refuses.
const Verdict& decide(const Observation& seen, Verb verb);

} // namespace blockhost
