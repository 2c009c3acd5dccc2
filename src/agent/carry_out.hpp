// SPDX-License-Identifier: MIT
#pragma once
/// Sees operations to their end, also where another process carries them out.

#include "agent/engine.hpp"

namespace blockhost::agent {

/// Carries the journal's operations out until these ended or wait for a signature; while another process
/// carries operations out, waits for it to do so. Once `stop` says so, nothing more is begun: what runs may
/// end within the runner's grace, and is then left, to be found again by its handle or note; those of these
/// that were not begun are cancelled. `told` is called for each change of one of these. How all of them
/// stand.
std::vector<execution::Operation> carry_out(Engine& engine, const std::vector<execution::Id>& ids,
                                            const std::function<bool()>& stop,
                                            const execution::Runner::Told& told);

} // namespace blockhost::agent
