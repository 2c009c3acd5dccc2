// SPDX-License-Identifier: MIT
#pragma once
/// Finds the image that new VMs' disks are overlays of. The templates folder holds versions, which are never
/// written again, and a link to the current one (docs/architecture.md, "Templates").

#include "base/files/lock.hpp"
#include "base/interrupt.hpp"
#include "config/paths.hpp"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace blockhost {

/// The link to the current version.
inline constexpr const char* template_link = "blockhost-base.qcow2";
/// The link that is used instead while template_link is a regular file of the 0.2.0 provisioner. That file
/// must stay: old disks name it as their backing path. create prefers this link.
inline constexpr const char* template_stand_in = "blockhost-base.current";

/// The real path of the image that new VMs' disks are overlays of. Throws Error{not_found}, Error{config}.
std::filesystem::path template_image(const Paths& paths);

/// The image of a version, by the name that its file has without ".qcow2". `version` may be outside text.
/// Nothing when there is no such version. Throws Error{io} when that cannot be told.
std::optional<std::filesystem::path> template_version(const Paths& paths, std::string_view version);

/// Opens the templates folder so that the caller, who makes or checks templates (root, but in tests), can
/// rely on it: only the caller may write to it, and only the caller may have made a link to it. A folder that
/// the installer gave to the state folder's owner is taken back; take_image does that for images. Throws
/// Error{not_found}; Error{denied} when it belongs to another user or cannot be taken back.
Folder take_templates(const Paths& paths);
/// The same for an image in it: a regular file that nobody but its owner may write to or has open for
/// writing. QEMU's user may own it: libvirt gives that user the images of running guests.
void take_image(const Paths& paths, const Folder& templates, const std::string& name);

/// The users and groups in the image's user database, as one set. A login cannot have any of these names:
/// cloud-init leaves an existing user as it is, and useradd refuses a group's name. Read from the manifest
/// beside the image. When that has none (an image taken as it is, or an older program's), returns the names
/// that Debian and its usual packages make.
std::set<std::string> template_accounts(const Paths& paths, const std::filesystem::path& image);

/// Keeps versions from being removed while it is held. A create holds it shared, from finding the image until
/// its disk names it; a process that removes versions holds it exclusively. The file is
/// `<state>/templates.lock`. Throws Error{busy} when `deadline` passes, Error{interrupted}, Error{io}.
FileLock hold_templates(const Paths& paths, FileLock::Mode mode, const Deadline& deadline,
                        const Interruption& interruption);

} // namespace blockhost
