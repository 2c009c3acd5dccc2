// SPDX-License-Identifier: MIT
#include "platform/guest.hpp"

namespace blockhost::platform {

std::string_view to_string(Kind kind) {
    return kind == Kind::vm ? "vm" : "container";
}

std::string_view to_string(Power power) {
    switch (power) {
    case Power::running:
        return "running";
    case Power::stopped:
        return "stopped";
    case Power::paused:
        return "paused";
    case Power::suspended:
        return "suspended";
    case Power::unknown:
        break;
    }
    return "unknown";
}

} // namespace blockhost::platform
