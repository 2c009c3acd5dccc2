// SPDX-License-Identifier: MIT
#include "platform/action.hpp"

#include <algorithm>
#include <array>

namespace blockhost::platform {

namespace {

using enum ActionKind;
constexpr std::array kinds{start,    stop,         resume,          set_config, grow,    create,
                           snapshot, rollback,     delete_snapshot, backup,     restore, delete_backup,
                           destroy,  set_features, mount,           unmount};
constexpr std::array<std::string_view, kinds.size()> names{
    "start",    "stop",         "resume",          "set-config", "grow",    "create",
    "snapshot", "rollback",     "delete-snapshot", "backup",     "restore", "delete-backup",
    "destroy",  "set-features", "mount",           "unmount"};
static_assert(std::variant_size_v<Action> == kinds.size());

constexpr std::string_view of_storage = "storage:", of_filesystem = "filesystem:";

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

bool is_on_storage(ActionKind kind) {
    return kind == mount || kind == unmount;
}

Target storage_target(std::string_view name, std::string_view filesystem) {
    return {std::string(of_storage) + std::string(name),
            std::string(of_filesystem) + std::string(filesystem)};
}

std::string filesystem_of(const Target& target) {
    if (!target.guest.starts_with(of_storage) || !target.incarnation.starts_with(of_filesystem)) return {};
    return target.incarnation.substr(of_filesystem.size());
}

} // namespace blockhost::platform
