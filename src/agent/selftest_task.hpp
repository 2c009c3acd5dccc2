// SPDX-License-Identifier: MIT
#pragma once
/// A trial of what the agent does to guests, on one that is there for it.

#include "agent/engine.hpp"
#include "agent/selftest.hpp"

namespace blockhost::agent {

/// The tag of a guest on which changes may be tried.
inline constexpr std::string_view selftest_tag = "blockhost-selftest";

/// Changes the guest's description and tags, takes a snapshot, rolls the guest back to it, deletes it, and
/// gives back description, tags and power: each an operation of its own source, called by root's shell, with
/// its permit and its line in the journal. What the guest wrote between snapshot and rollback is lost. Stops
/// at the first that fails, and then still takes back what was done before. Each `stage` is told before it
/// begins; `check` as Engine::finish has it. Throws Error{not_found} when there is no such guest,
/// Error{denied} when it has not the tag, Error{busy} when it is locked; nothing was changed then.
std::vector<Check> selftest_task(Engine& engine, const platform::GuestId& id,
                                 const std::function<void(std::string_view)>& stage,
                                 const std::function<void()>& check);

} // namespace blockhost::agent
