// SPDX-License-Identifier: MIT
#pragma once
/// Opens paths on which other users could plant a link: a link is followed only when root or the caller made
/// it.

#include "base/error.hpp"
#include "base/files/files.hpp"

#include <filesystem>
#include <string>

namespace blockhost {

/// An Error{io} for a link in the place of a file or folder.
Error planted_link(const std::filesystem::path& path);

/// Opens the folder at the end of `way`, which begins in the open folder `start` (AT_FDCWD for the current
/// folder), called `start_name` in messages. An invalid Fd when a part of the way is missing. Throws
/// Error{io} at another user's link and at anything that is not a folder.
Fd follow_to_folder(int start, const std::filesystem::path& start_name, const std::filesystem::path& way);

/// The target of the link `name` in an open folder. Throws like follow_to_folder.
std::filesystem::path followed_link(int folder, const std::string& name, const std::filesystem::path& full);

/// More links than this in one path are refused (ELOOP).
inline constexpr int most_links = 16;

} // namespace blockhost
