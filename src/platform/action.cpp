// SPDX-License-Identifier: MIT
#include "platform/action.hpp"

#include <algorithm>
#include <array>

namespace blockhost::platform {

namespace {

using enum ActionKind;
constexpr std::array kinds{start,   stop,          resume,   set_config,      grow,
                           create,  snapshot,      rollback, delete_snapshot, backup,
                           restore, delete_backup, destroy};
constexpr std::array<std::string_view, kinds.size()> names{
    "start",           "stop",   "resume",  "set-config",    "grow",   "create", "snapshot", "rollback",
    "delete-snapshot", "backup", "restore", "delete-backup", "destroy"};
static_assert(std::variant_size_v<Action> == kinds.size());

} // namespace

ActionKind kind_of(const Action& action) {
    return kinds[action.index()];
}

std::string_view to_string(ActionKind kind) {
    return names[static_cast<std::size_t>(kind)];
}

std::optional<ActionKind> action_kind(std::string_view name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return kinds[static_cast<std::size_t>(found - names.begin())];
}

std::span<const ActionKind> action_kinds() {
    return kinds;
}

} // namespace blockhost::platform
