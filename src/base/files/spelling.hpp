// SPDX-License-Identifier: MIT
#pragma once
/// Which spellings name the same file or folder.

#include <filesystem>

namespace blockhost::files {

/// The same path without doubled and trailing slashes and "." steps. ".." stays: it may follow a link.
std::filesystem::path plain(const std::filesystem::path& path);

/// Whether both name one folder: by device and inode when both exist, else by their plain spelling.
bool is_same_folder(const std::filesystem::path& a, const std::filesystem::path& b);

} // namespace blockhost::files
