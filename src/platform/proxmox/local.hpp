// SPDX-License-Identifier: MIT
#pragma once
/// What is done on the node itself, where this program has to run for it, by the fenced commands.

#include "platform/platform.hpp"
#include "platform/proxmox/privileged/fence.hpp"

namespace blockhost::platform::proxmox::local {

/// Whether such an action is done on the node itself: set-features, mount, unmount.
bool is_local(ActionKind kind);
/// Why no such action is carried out on a guest of that kind; nothing: nothing speaks against it beforehand.
std::optional<Error> refusal(const Action& action, Kind kind);
/// Throws Error{invalid} unless the target is one that such an action is done to.
void require_target(const Target& target, const Action& action);
/// Does it, to its end. Throws as the fenced commands do, and AnswerLost when a program did not end in time.
void carry_out(const privileged::LocalNode& node, const Permit& permit);
/// Whether the storage is mounted there now and after each start.
bool is_mounted(const privileged::LocalNode& node, const Target& storage, const std::string& point);
/// Whether nothing is left of it there.
bool is_unmounted(const privileged::LocalNode& node, const Target& storage, const std::string& point);
/// Whether a container's configuration has exactly these features.
bool has_features(const GuestConfig& config, const SetFeatures& wanted);

} // namespace blockhost::platform::proxmox::local
