// SPDX-License-Identifier: MIT
#pragma once
/// Room on a file system on which guests' disks grow too.

#include "base/files/files.hpp"

#include <cstdint>
#include <string>

namespace blockhost::image {

/// Throws Error{no_room} unless `bytes` more leave a twentieth of the folder's file system free: libvirt
/// stops a guest whose disk cannot grow. `what` begins the sentence: "the image".
void require_room(const Folder& folder, std::uint64_t bytes, const std::string& what);

} // namespace blockhost::image
