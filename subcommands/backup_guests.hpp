// SPDX-License-Identifier: MIT
#pragma once
/// The verbs about backups on a host whose guests live on a node of Proxmox VE, which keeps their backups.

#include "agent/backups/guest_restore.hpp"
#include "cli/command.hpp"

namespace blockhost::subcommands {

/// Whether this host is one. Throws Error{config}.
bool is_on_node(const cli::Call& call);
/// The verb backup there.
int backup_on_node(cli::Call& call);

// The parts of it.
int list_backups_on_node(cli::Call& call);
int show_backup_on_node(cli::Call& call);
int forget_backups_on_node(cli::Call& call);

// The verbs restore and drill there.
int restore_on_node(cli::Call& call);
int drill_on_node(cli::Call& call);

/// What one look at the node tells of its backups.
struct NodeBackups {
    std::unique_ptr<platform::Platform> platform;
    platform::Guests guests;
    std::vector<agent::KnownBackup> all; ///< the oldest first
    std::vector<std::string> doubts;     ///< why there may be more
};
/// Each doubt is warned of. Root's alone. Throws as Platform::guests.
NodeBackups look_at_backups(cli::Call& call);

/// The options that there is nothing for on a node: throws Error{usage} where one of them is given.
void refuse_options(const cli::Call& call, std::initializer_list<std::string_view> options);
/// How the steps of a verb are told.
agent::StepTalk talk_of(const cli::Call& call, std::string_view verb);

} // namespace blockhost::subcommands
