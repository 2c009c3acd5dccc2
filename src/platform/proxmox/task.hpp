// SPDX-License-Identifier: MIT
#pragma once
/// Tasks of a node: a call that is accepted has only begun; what came of it is the task's exit status
/// (pve-common, src/PVE/RESTEnvironment.pm).

#include "platform/platform.hpp"
#include "platform/proxmox/backups/vzdump_log.hpp"
#include "platform/proxmox/client.hpp"
#include "platform/proxmox/upid.hpp"

namespace blockhost::platform::proxmox {

/// How a task stands.
struct TaskState {
    enum class Phase {
        running,
        good,        ///< "OK", or "WARNINGS: n": done, TaskState::warnings tells with what
        failed,      ///< TaskState::refusal tells why
        interrupted, ///< somebody stopped it
        lost,        ///< its worker was killed, or the node went down: only the guest tells what came of it
        vanished,    ///< the node does not know it (any more): likewise
    } phase = Phase::running;
    bool queued = false;               ///< `running`: a vzdump that waits for the node's one lock of backups
    std::vector<std::string> warnings; ///< lines of the log, printable
    std::vector<std::string> log;      ///< of a failed one: its last lines, printable
    Refusal refusal = {};              ///< of a failed one
    std::optional<DumpLog> dump = {};  ///< of a backup's: what its log tells
};

/// What an exit status says; `running` never. Warnings and log lines are not in it.
TaskState end_of(std::string_view exit_status);

/// The lines of a log's answer, the last 500 at most, printable; none where it is no log.
std::vector<std::string> log_in(const boost::json::value& told);

/// Adds what the lines of its log tell to a task that ended: the warnings, or the last lines of a failed one,
/// and why it failed where its end alone does not tell.
void add_log(TaskState& state, std::vector<std::string> lines);

/// Looks once. Throws as Client::get.
TaskState look(Client& client, const Upid& upid);

/// The same of an action that is such a task.
ActionState action_state_of(TaskState task);

/// The first lines of its log, `most` at most, printable; none where it cannot be had. Throws
/// Error{no_answer} when it may be had later.
std::vector<std::string> first_lines(Client& client, const Upid& upid, std::size_t most);

/// Asks the node to stop it, which ends it as `interrupted` a moment later. Nothing happens to one that ended
/// or is not known.
void interrupt(Client& client, const Upid& upid);

} // namespace blockhost::platform::proxmox
