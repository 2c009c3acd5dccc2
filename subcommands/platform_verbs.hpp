// SPDX-License-Identifier: MIT
#pragma once
/// What the verbs of platforms and their operations share.

#include "agent/engine.hpp"
#include "cli/command.hpp"
#include "model/names.hpp"

#include <functional>
#include <memory>

namespace blockhost::subcommands {

/// The platform of the call; a signal ends its waits.
std::unique_ptr<platform::Platform> open_platform(const cli::Call& call);
/// Throws Error{denied} unless root calls, whose alone the agent's database and record are; in a simulated
/// world anybody may.
void require_agents_user(const cli::Call& call);
/// What carries out the operations of this host; a clock that went back is warned of. `call` outlives it.
/// Throws as require_agents_user.
agent::Engine open_engine(const cli::Call& call);
/// The same, for whoever has its own way to tell of a clock that went back.
agent::Engine make_engine(const cli::Call& call, std::function<void(const Error&)> doubtful_clock);
/// Warns of what note_time found to speak against the clock, if it did.
void tell_of_clock(const cli::Call& call, const std::optional<Error>& doubt);

/// Runs `act`, which destroys that VM, behind the gate of this host's agent; where there is none, that is
/// all. Throws Error{denied}, and `act` was not run, where a signature is needed: then an operation waits for
/// it, unless somebody else than root calls. Throws what `act` throws.
void destroy_behind_gate(const cli::Call& call, const VmName& name, const std::function<void()>& act);
/// For a verb that loses data and is no operation of the agent's: throws Error{denied} with `remedy` where a
/// signature is required of everybody.
void require_no_signature(const cli::Call& call, std::string_view what, const std::string& remedy);
/// As destroy_behind_gate for gc, which waits for nobody: why the VM is left; empty: `act` was run. Any
/// thread may call it.
using GateOfGc = std::function<std::string(const VmName&, const std::function<void()>& act)>;
GateOfGc gate_of_gc(const cli::Call& call);

} // namespace blockhost::subcommands
