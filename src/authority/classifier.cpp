// SPDX-License-Identifier: MIT
// The table of classes.
#include "authority/classifier.hpp"

#include "base/fault.hpp"

#include <algorithm>
#include <string>

namespace blockhost::authority {

namespace {

using enum Class;
using enum Provenance;

constexpr std::array table{
    ClassRow{"start", ordinary, benign},
    ClassRow{"start", scratch, benign},
    ClassRow{"start", made_in_this_transaction, benign},
    ClassRow{"stop", ordinary, benign},
    ClassRow{"stop", scratch, benign},
    ClassRow{"stop", made_in_this_transaction, benign},
    ClassRow{"resume", ordinary, benign},
    ClassRow{"resume", scratch, benign},
    ClassRow{"resume", made_in_this_transaction, benign},
    ClassRow{"set-config", ordinary, benign},
    ClassRow{"set-config", scratch, benign},
    ClassRow{"set-config", made_in_this_transaction, benign},
    ClassRow{"grow", ordinary, benign},
    ClassRow{"grow", scratch, benign},
    ClassRow{"grow", made_in_this_transaction, benign},
    ClassRow{"create", ordinary, benign},
    ClassRow{"create", scratch, benign},
    ClassRow{"create", made_in_this_transaction, benign},
    ClassRow{"snapshot", ordinary, benign},
    ClassRow{"snapshot", scratch, benign},
    ClassRow{"snapshot", made_in_this_transaction, benign},
    // What the guest wrote since the snapshot is nowhere else.
    ClassRow{"rollback", ordinary, destructive},
    ClassRow{"rollback", scratch, benign},
    ClassRow{"rollback", made_in_this_transaction, benign},
    ClassRow{"delete-snapshot", ordinary, destructive},
    ClassRow{"delete-snapshot", scratch, benign},
    ClassRow{"delete-snapshot", made_in_this_transaction, benign},
    ClassRow{"backup", ordinary, benign},
    ClassRow{"backup", scratch, benign},
    ClassRow{"backup", made_in_this_transaction, benign},
    // To a new guest: there is no action that restores over one.
    ClassRow{"restore", ordinary, benign},
    ClassRow{"restore", scratch, benign},
    ClassRow{"restore", made_in_this_transaction, benign},
    ClassRow{"delete-backup", ordinary, destructive},
    ClassRow{"delete-backup", scratch, benign},
    ClassRow{"delete-backup", made_in_this_transaction, benign},
    ClassRow{"destroy", ordinary, destructive},
    ClassRow{"destroy", scratch, benign},
    ClassRow{"destroy", made_in_this_transaction, benign},
    ClassRow{"set-features", ordinary, benign},
    ClassRow{"set-features", scratch, benign},
    ClassRow{"set-features", made_in_this_transaction, benign},
    ClassRow{"mount", ordinary, benign},
    ClassRow{"mount", scratch, benign},
    ClassRow{"mount", made_in_this_transaction, benign},
    // The only copy of a backup may be on it, whether one is being made or not.
    ClassRow{"unmount", ordinary, destructive},
    ClassRow{"unmount", scratch, benign},
    ClassRow{"unmount", made_in_this_transaction, benign},
    // Nothing that the agent does by itself makes keys.
    ClassRow{"rotate-keys", ordinary, destructive},
    ClassRow{"rotate-keys", scratch, destructive},
    ClassRow{"rotate-keys", made_in_this_transaction, destructive},
};

} // namespace

std::string_view to_string(Class which) {
    return which == benign ? "benign" : "destructive";
}

std::string_view to_string(Provenance provenance) {
    switch (provenance) {
    case scratch:
        return "scratch";
    case made_in_this_transaction:
        return "made in this transaction";
    case ordinary:
        break;
    }
    return "ordinary";
}

std::span<const ClassRow> class_table() {
    return table;
}

Class class_of(std::string_view change, Provenance provenance) {
    const auto row = std::ranges::find_if(
        table, [&](const ClassRow& each) { return each.change == change && each.provenance == provenance; });
    const Class is = row == table.end() ? destructive : row->is;
    // A test that flips a row wants to be noticed.
    const std::string name = std::string(change) + " " + std::string(to_string(provenance));
    if (fault::left_out("classifier", name)) return is == benign ? destructive : benign;
    return is;
}

std::string_view loss_of(std::string_view change) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> losses{{
        {"rollback", "it loses what was written since the snapshot"},
        {"delete-snapshot", "it loses the snapshot"},
        {"delete-backup", "it loses the backup"},
        {"destroy", "it loses the guest and its disks"},
        {"unmount", "it takes away what is stored there"},
        {"rotate-keys", "who may sign now may not any more"},
    }};
    const auto found =
        std::ranges::find(losses, change, &std::pair<std::string_view, std::string_view>::first);
    if (found != losses.end()) return found->second;
    return class_of(change, ordinary) == benign ? "" : "nobody knows what it loses";
}

} // namespace blockhost::authority
