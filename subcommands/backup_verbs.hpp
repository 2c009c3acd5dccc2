// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs about backups share, and the parts of the verb backup.

#include "backup/repository.hpp"
#include "cli/command.hpp"
#include "cli/printer.hpp"

#include <memory>

namespace blockhost::subcommands {

/// Throws Error{interrupted} once a signal was noted.
void check_signals();

/// Who calls must be root and mean this host: for what the simulated world's repository cannot do. Throws
/// Error{config} or {denied}.
void require_real_backups(const cli::Call& call);

/// The host's own repository, which is looked at first. Throws as open_repository, Restic::version and
/// require_same_repository.
backup::Restic open_own_repository(const cli::Call& call);

/// Where the backups of this call's VMs go: the host's own repository, which is looked at first, or the
/// simulated world's. Throws as open_own_repository.
struct OpenRepository {
    backup::Settings settings;
    std::unique_ptr<backup::Repository> repository;
};
OpenRepository open_repository_of(const cli::Call& call);

/// What is in the file that --password-file names; nothing without that option. Throws Error{invalid}.
std::optional<std::string> given_password(const cli::Call& call);

/// Wraps the password of the host's own repository, prints the code, and leaves the wrapped text in the file
/// `to`, which is made. Throws Error{exists} when there is something of that name; what cannot be printed
/// leaves no file.
void wrap_key(const cli::Call& call, const backup::Restic& restic, const std::string& to);
/// Likewise the key that a node of Proxmox VE encrypts its backups to a storage with. Throws Error{not_found}
/// where this host does not have it.
void wrap_storage_key(const cli::Call& call, const std::string& storage, const std::string& to);
/// Prints what the file `from` holds, by the code from --code-file or standard input. Needs no repository.
void unwrap_key(const cli::Call& call, const std::string& from);

int backup_setup(cli::Call& call);
int backup_key(cli::Call& call);
int backup_check(cli::Call& call);
int backup_forget(cli::Call& call);
int backup_prune(cli::Call& call);
int backup_maintain(cli::Call& call); ///< what is due of forget, prune and check
int backup_status(cli::Call& call);
int backup_list(cli::Call& call);
int backup_show(cli::Call& call);
int backup_extract(cli::Call& call);
int backup_vms(cli::Call& call); ///< backs up the VMs that are named, or all of them

} // namespace blockhost::subcommands
