// SPDX-License-Identifier: MIT
// The words for record statuses and power states.
#include "model/vm.hpp"

namespace blockhost {

std::string_view to_string(RecordStatus status) {
    switch (status) {
    case RecordStatus::active:
        return "active";
    case RecordStatus::suspended:
        return "suspended";
    case RecordStatus::destroyed:
        return "destroyed";
    }
    return "unknown";
}

std::optional<RecordStatus> record_status(std::string_view text) {
    for (auto status : {RecordStatus::active, RecordStatus::suspended, RecordStatus::destroyed})
        if (text == to_string(status)) return status;
    return std::nullopt;
}

std::string_view to_string(PowerState state) {
    switch (state) {
    case PowerState::running:
        return "running";
    case PowerState::stopping:
        return "stopping";
    case PowerState::paused:
        return "paused";
    case PowerState::off:
        return "off";
    case PowerState::crashed:
        return "crashed";
    case PowerState::unknown:
        return "unknown";
    }
    return "unknown";
}

bool is_alive(PowerState state) {
    return state != PowerState::off;
}

std::string_view contract_status(std::optional<PowerState> state) {
    if (!state) return to_string(RecordStatus::destroyed);
    switch (*state) {
    case PowerState::running:
    case PowerState::stopping:
        return "active";
    case PowerState::paused:
    case PowerState::off:
    case PowerState::crashed:
        return "suspended";
    case PowerState::unknown:
        return "unknown";
    }
    return "unknown";
}

} // namespace blockhost
