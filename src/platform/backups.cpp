// SPDX-License-Identifier: MIT
#include "platform/backups.hpp"

namespace blockhost::platform {

std::string_view to_string(Consistency consistency) {
    switch (consistency) {
    case Consistency::frozen:
        return "frozen";
    case Consistency::crash:
        return "crash";
    case Consistency::off:
        return "off";
    case Consistency::unknown:
        break;
    }
    return "";
}

} // namespace blockhost::platform
