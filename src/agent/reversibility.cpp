// SPDX-License-Identifier: MIT
#include "agent/reversibility.hpp"

namespace blockhost::agent {

std::string_view loss_of(platform::ActionKind kind) {
    using enum platform::ActionKind;
    switch (kind) {
    case start:
    case stop:
    case resume:
    case set_config:
    case grow:
    case create:
    case snapshot:
    case backup:
    case restore: // to a new guest: no platform restores over one
        return "";
    case rollback:
        return "it loses what was written since the snapshot";
    case delete_snapshot:
        return "it loses the snapshot";
    case delete_backup:
        return "it loses the backup";
    case destroy:
        return "it loses the guest and its disks";
    }
    return "nobody knows what it loses"; // what is not known is destructive
}

Reversibility reversibility_of(platform::ActionKind kind) {
    return loss_of(kind).empty() ? Reversibility::benign : Reversibility::needs_signature;
}

} // namespace blockhost::agent
