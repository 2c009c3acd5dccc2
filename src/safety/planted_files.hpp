// SPDX-License-Identifier: MIT
#pragma once
/// Checks that root makes before libvirt opens the files of a VM for QEMU, and gives them to QEMU's user.
/// Most of them lie in folders of the blockhost user, who can replace them.

#include "vm/context.hpp"

namespace blockhost::safety {

/// Checks that no file that a domain's definition names was planted to have another file read. Below
/// BlockHost's folders, and wherever else somebody but root may write, each must be a regular file with one
/// name, in folders reached through root's links alone. An image must be qcow2 without features that name
/// more files, and backed only by templates or by layers of its own kind beside it. A file that only root can
/// have put there is fine. Throws Error{denied}, Error{config} or Error{not_found}, naming the file.
void require_nothing_planted(World& world, const std::string& definition);

/// Checks that new disks may be backed by `image`: it is one of the templates, or what an administrator's
/// link among them names; only root may write it (an image of the state folder's owner becomes root's); it is
/// complete and qcow2. Throws as require_nothing_planted.
void require_template(const World& world, const std::filesystem::path& image);

} // namespace blockhost::safety
