// SPDX-License-Identifier: MIT
#pragma once
/// Actions of every kind, for tests of what tells one from another.

#include "platform/action.hpp"

#include <vector>

namespace blockhost::platform {

/// Actions that differ from each other in one thing each, a parameter or the kind.
inline std::vector<Action> all_different() {
    constexpr std::int64_t gib = 1024;
    SetConfig four;
    four.digest = "d", four.cpus = 4;
    SetConfig five = four, of_other_digest = four, with_tags = four;
    five.cpus = 5, of_other_digest.digest = "e", with_tags.tags = std::set<std::string>{};
    Create made{.source = "current", .config = {}}, named = made, of_other = made, larger = made;
    named.config.name = "n", of_other.source = "older", larger.config.disk_mib = 10 * gib;
    return {Start{},
            Stop{},
            Stop{.force = true},
            Stop{.patience = std::chrono::seconds(181)},
            Resume{},
            four,
            five,
            of_other_digest,
            with_tags,
            Grow{10 * gib},
            Grow{20 * gib},
            made,
            named,
            of_other,
            larger,
            TakeSnapshot{"s", ""},
            TakeSnapshot{"t", ""},
            TakeSnapshot{"s", "of today"},
            RollBack{"s"},
            RollBack{"t"},
            DeleteSnapshot{"s"},
            DeleteSnapshot{"t"},
            Backup{"main", "", false},
            Backup{"other", "", false},
            Backup{"main", "n", false},
            Backup{"main", "", true},
            Restore{"b"},
            Restore{"c"},
            DeleteBackup{"b"},
            DeleteBackup{"c"},
            Destroy{},
            SetFeatures{{"keyctl"}},
            SetFeatures{{"keyctl", "nesting"}},
            Mount{"/mnt/a"},
            Mount{"/mnt/b"},
            Unmount{"/mnt/a"},
            Unmount{"/mnt/b"}};
}

} // namespace blockhost::platform
