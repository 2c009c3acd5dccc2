// SPDX-License-Identifier: MIT
#pragma once
/// Whether QEMU's user can reach disks, templates and seeds.

#include "base/files/state_folder.hpp"

#include <filesystem>
#include <optional>

namespace blockhost::host {

/// open: opens BlockHost's own folders on the way. look: changes nothing, and counts them as open.
enum class Way { look, open };

/// The folder that QEMU's user cannot pass through on the way down to `path`, or to the part of it that
/// exists; nothing when the way is open, or there is no such user.
///
/// Opens BlockHost's own folders on the way, which are `state` and those below it: the state folder lets
/// everybody pass, the others get let_pass (base/files/access.hpp) for QEMU's group. That is needed because
/// an installer that gives the whole state folder to one user takes the group away (docs/contract.md). Root
/// and a folder's owner may open it. Nothing is changed behind links, or where this process may not.
std::optional<std::filesystem::path> blocked_for_qemu(const std::filesystem::path& path,
                                                      const StateFolder& state, Way way);

/// Whether `path` is `folder` or below it, as spelt.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

} // namespace blockhost::host
