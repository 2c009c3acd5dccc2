// SPDX-License-Identifier: MIT
#pragma once
/// Guest agent messages (QEMU docs/interop/qemu-ga-ref) as text; transport is up to the caller.

#include "guest/agent_call.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace blockhost::guest {

/// True when the agent answers a ping.
bool ping(const AgentCall& call);

/// Reads a small file of the guest whole (64 KiB at most); nothing when the guest has no such file. The
/// handle is closed in every case. Throws Error{guest}.
std::optional<std::string> read_file(const AgentCall& call, std::string_view path);

/// How far cloud-init has come, from its own files in /run/cloud-init and /var/lib/cloud.
struct CloudInitState {
    enum class Kind { unknown, running, done, disabled, failed } kind = Kind::unknown;
    /// For failed: the cause (no datasource, final stage never ran). For done: quoted module errors, if any.
    std::string detail;
    bool idle = false; ///< running, but between stages: if that stays so, the final stage never ran
};
CloudInitState cloud_init_state(const AgentCall& call);

} // namespace blockhost::guest
