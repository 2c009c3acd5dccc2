// SPDX-License-Identifier: MIT
#pragma once
/// Restoring a VM from a backup: a create (operations/create.hpp) whose identity and whose disk come from the
/// backup.

#include "backup/extract.hpp"
#include "operations/create.hpp"

namespace blockhost::operations {

struct RestoreRequest {
    /// A copy under another name; nothing: the VM under its own.
    std::optional<VmName> as = {};
    /// From now on; nothing: as before, which has to lie ahead.
    std::optional<std::int64_t> expiry_days = {};
    Origin::Then then = Origin::Then::run;
    std::chrono::seconds ready_timeout{180};
    ClockTrust clock = ClockTrust::judged;
};

/// Makes the VM anew under its own name: uuid, hardware address, owner, login's name, CPUs, memory, expiry
/// and disk as they were, addresses where they are free. Its definition is rendered from the backup's typed
/// record; nothing of the XML in the backup is used. The disk is an overlay again where the template's
/// version that it stood on is present, whatever is in that. Rolled back as a create is; a guest that does
/// not get ready is warned of and stays.
///
/// A copy gets uuid, hardware address and addresses of its own, and has no link to the network before its
/// agent has given it a machine-id and SSH host keys of its own: one whose agent does not answer is undone,
/// Error{guest}.
///
/// Throws Error{exists} when there is a VM of that name; Error{invalid} for a backup that no VM can be made
/// of; Error{wrong_state} when its expiry has passed; and as create.
void restore(World& world, const backup::Repository& repository, const backup::Backup& backup,
             const RestoreRequest& request, const std::function<void(const CreateResult&)>& deliver);

} // namespace blockhost::operations
