// SPDX-License-Identifier: MIT
#pragma once
/// When a new guest is ready: its agent answers, cloud-init is done and its owner can log in
/// (docs/contract.md, "create").

#include "base/interrupt.hpp"
#include "guest/login.hpp"
#include "vm/context.hpp"

#include <chrono>

namespace blockhost::operations {

/// The login that the guest must have in the end.
struct ExpectedLogin {
    guest::Login login;
    bool promised = false; ///< nobody could use the VM without it; when false, its absence is a warning
};

/// Waits for up to `limit` until the agent answers, cloud-init is done and the login is there. When the limit
/// ends with the login but with cloud-init unfinished, warns loudly and returns: what counts is what the
/// owner can do. A promised login that is not there by then is waited for as long again. Throws Error{guest},
/// naming the stage and showing the domain's state and the last console lines, when the guest dies, the agent
/// never answers, cloud-init is disabled or failed, its final stage can never run any more, or a promised
/// login is not there in the end. Hypervisor::watch must have been called for the domain before it was
/// started.
void await_ready(World& world, const VmName& name, const StatePlace& consoles, std::chrono::seconds limit,
                 const ExpectedLogin& login, const Interruption& interruption);

/// The first part of that alone: waits for up to `limit` until the agent answers. Throws Error{guest} when it
/// does not, or the guest dies.
void await_agent(World& world, const VmName& name, const StatePlace& consoles, std::chrono::seconds limit,
                 const Interruption& interruption);

/// The last `lines` lines of a console log, made printable, one string each; empty when there is none.
std::vector<std::string> console_tail(const StatePlace& consoles, const VmName& name, std::size_t lines);

} // namespace blockhost::operations
