// SPDX-License-Identifier: MIT
#pragma once
/// A folder that only this process's user can enter, whoever owns the folder around it.

#include "base/files/files.hpp"

#include <string>

namespace blockhost::store {

/// Opens the folder `name` in `parent`, making it first when it is missing: it belongs to this process's user
/// and has mode 0700. Throws Error{denied} when one is there that belongs to another user, or that others may
/// enter: what it holds may be somebody else's doing. Throws Error{io}.
Folder make_private_folder(const Folder& parent, const std::string& name);

/// Nothing when there is none. Throws likewise.
std::optional<Folder> private_folder(const Folder& parent, const std::string& name);

/// Throws Error{denied} unless the folder belongs to this process's user, and no other user may enter it.
void require_private(const Folder& folder);

} // namespace blockhost::store
