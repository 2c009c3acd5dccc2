// SPDX-License-Identifier: MIT
#pragma once
/// The verbs about backups on a host whose guests live on a node of Proxmox VE, which keeps their backups.

#include "agent/guest_backups.hpp"
#include "cli/command.hpp"

namespace blockhost::subcommands {

/// Whether this host is one. Throws Error{config}.
bool is_on_node(const cli::Call& call);
/// The verb backup there.
int backup_on_node(cli::Call& call);

// The parts of it.
int list_backups_on_node(cli::Call& call);
int show_backup_on_node(cli::Call& call);

/// What one look at the node tells of its backups.
struct NodeBackups {
    std::unique_ptr<platform::Platform> platform;
    platform::Guests guests;
    std::vector<agent::KnownBackup> all; ///< the oldest first
    std::vector<std::string> doubts;     ///< why there may be more
};
/// Each doubt is warned of. Root's alone. Throws as Platform::guests.
NodeBackups look_at_backups(cli::Call& call);

} // namespace blockhost::subcommands
