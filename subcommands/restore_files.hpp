// SPDX-License-Identifier: MIT
#pragma once
/// What restore does with --file.

#include "backup/repository.hpp"
#include "cli/command.hpp"
#include "image/files/restore_files.hpp"

namespace blockhost::subcommands {

/// What --file and --to say, of which at least one is given. Throws Error{usage} when the other is missing,
/// and for options that are about a VM; as image::require_paths.
image::FilesRequest require_files_request(const cli::Arguments& given);

/// Restores files out of the backup that the operand names.
int restore_files(cli::Call& call, const backup::Restic& restic, const image::FilesRequest& request);

} // namespace blockhost::subcommands
