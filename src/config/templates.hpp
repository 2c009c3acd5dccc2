#pragma once
/// Where the image is that new VMs' disks stand on: the templates folder holds versions that are never
/// written again, and a link that names the current one (docs/architecture.md, "Templates").

#include "base/interrupt.hpp"
#include "base/lock.hpp"
#include "config/paths.hpp"

namespace blockhost {

/// The link that names the current version.
inline constexpr const char* template_link = "blockhost-base.qcow2";
/// It stands in while that name is a regular file of the 0.2.0 provisioner's: old disks name it as their
/// backing path, so that it must stay. create prefers it.
inline constexpr const char* template_stand_in = "blockhost-base.current";

/// The real path of the image that new VMs' disks stand on. Throws Error{not_found}, {config}.
std::filesystem::path template_image(const Paths& paths);

/// Keeps versions where they are while it is held: shared by a create, from finding the image until its disk
/// names it; exclusive by whoever removes versions. On `<state>/templates.lock`. Throws Error{busy} when
/// `deadline` passes, Error{interrupted}, Error{io}.
FileLock hold_templates(const Paths& paths, FileLock::Mode mode, const Deadline& deadline,
                        const Interruption& interruption);

} // namespace blockhost
