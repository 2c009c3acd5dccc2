// SPDX-License-Identifier: MIT
#pragma once
/// Writes seed images with libisofs, in a module that is loaded when a seed is written.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace blockhost::guest {

/// Writes an ISO 9660 image with Joliet and Rock Ridge, this label and these files (name, content) in its
/// root to `fd`. Throws Error{io}; Error{hypervisor_down} when the module is missing.
void write_iso(int fd, const std::string& label,
               const std::vector<std::pair<std::string, std::string>>& files);

} // namespace blockhost::guest
