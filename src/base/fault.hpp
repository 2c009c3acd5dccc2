#pragma once
/// Named points at which the simulated world may fail or kill this process: the tests' fault knob.
/// Unarmed (always, but for --mock with BLOCKHOST_FAULT set) a point costs one load and one branch.

#include <string_view>

namespace blockhost::fault {

/// Arms from a specification: "fail@N" throws Error{internal} at the N-th point, "hang@N" Error{no_answer} as
/// does a call whose deadline has passed, "kill@N" sends SIGKILL to ourselves there, "count@FILE" writes the
/// number of points passed to FILE at exit. N counts from 1. Throws Error{invalid} when it cannot be read.
void arm(std::string_view specification);
/// Arms from BLOCKHOST_FAULT where it is set, once a process: what makes a simulated world does.
void arm_from_environment();

/// One point. `where` names it in the thrown message ("files.replace", "simulated.define.after").
void point(std::string_view where);

/// What this process is to leave out, so that the tests can show that they see it. Nothing, ever, in a build
/// without tests; else what BLOCKHOST_LEAVE_OUT says: "revert NAME", "sync PATTERN" or "lock PATTERN", where
/// a pattern (fnmatch) is of paths, with "/" behind a folder.
#ifdef BLOCKHOST_CAN_LEAVE_OUT
bool left_out(std::string_view what, std::string_view name);
bool left_out(std::string_view what, int fd);
#else
constexpr bool left_out(std::string_view, std::string_view) {
    return false;
}
constexpr bool left_out(std::string_view, int) {
    return false;
}
#endif

} // namespace blockhost::fault
