#pragma once
/// The seed image's writer: a module of its own (libisofs), loaded when a seed is written.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace blockhost::guest {

/// Writes an ISO 9660 image with Joliet and Rock Ridge to the open descriptor `fd`: volume label, and files
/// at the root as (name, content). Throws Error{io}; Error{internal} when the module is missing.
void write_iso(int fd, const std::string& label,
               const std::vector<std::pair<std::string, std::string>>& files);

} // namespace blockhost::guest
