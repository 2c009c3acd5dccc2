// SPDX-License-Identifier: MIT
#pragma once
/// The folder of chunk files as files of its own, for hosts where none can be mounted.

#include "imgtree/tree.hpp"

#include <string>

namespace blockhost::imgtree {

/// Writes all of `tree` into `folder`, which is empty, with the tree's owners, modes and times. The caller
/// removes it. Throws Error{io} for what cannot be read, Error{no_room} when it does not fit.
void copy_out(Tree& tree, const std::string& folder);

/// Shows `folder` at `mount_point` to this process and those that it starts. Throws Error{io}.
void show_at(const std::string& folder, const std::string& mount_point);

} // namespace blockhost::imgtree
