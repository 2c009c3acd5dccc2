#pragma once
/// Named points at which the simulated world may fail or kill this process: the tests' fault knob.
/// Unarmed (always, but for --mock with BLOCKHOST_FAULT set) a point costs one load and one branch.

#include <string_view>

namespace blockhost::fault {

/// Arms from a specification: "fail@N" throws Error{internal} at the N-th point, "kill@N" sends SIGKILL to
/// ourselves there, "count@FILE" writes the number of points passed to FILE at exit. N counts from 1.
/// Throws Error{invalid} when it cannot be read.
void arm(std::string_view specification);
/// Arms from BLOCKHOST_FAULT where it is set: what makes a simulated world does.
void arm_from_environment();

/// One point. `where` names it in the thrown message ("files.replace", "simulated.define.after").
void point(std::string_view where);

} // namespace blockhost::fault
