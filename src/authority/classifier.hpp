// SPDX-License-Identifier: MIT
#pragma once
/// Which changes can lose the only or primary copy of data. Reversibility decides, not the verb.

#include "authority/change.hpp"

#include <array>
#include <span>

namespace blockhost::authority {

enum class Class {
    benign,      ///< loses nothing
    destructive, ///< needs a signature
};
std::string_view to_string(Class which);

/// What is known of the thing that the change would lose: the guest, for destroy and rollback; the snapshot
/// or backup that would be deleted. Only this host's own journal tells it, never a hub or a desired state.
enum class Provenance {
    ordinary,
    scratch,                 ///< made by the agent itself for a trial, and for nothing else
    made_in_this_transaction ///< made by the operation that now undoes it
};
std::string_view to_string(Provenance provenance);
inline constexpr std::array provenances{Provenance::ordinary, Provenance::scratch,
                                        Provenance::made_in_this_transaction};

/// A row of the table.
struct ClassRow {
    std::string_view change; ///< its name, as by name_of()
    Provenance provenance;
    Class is;
};
std::span<const ClassRow> class_table();

/// What has no row is destructive.
Class class_of(std::string_view change, Provenance provenance);

/// What such a change can lose, as a clause: "it loses the guest and its disks". Empty for one that is benign
/// whatever it is done to.
std::string_view loss_of(std::string_view change);

} // namespace blockhost::authority
