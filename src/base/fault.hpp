// SPDX-License-Identifier: MIT
#pragma once
/// Named points at which the simulated world may fail or kill this process, for the tests. An unarmed point
/// costs one load and one branch; points are armed only with --mock and BLOCKHOST_FAULT set.

#include <string_view>

namespace blockhost::fault {

/// Arms from a specification. "fail@N" throws Error{internal} at the N-th point. "hang@N" throws
/// Error{no_answer} there, as a call does when its deadline has passed. "kill@N" sends SIGKILL to this
/// process there. "count@FILE" writes the number of points passed to FILE at exit. N counts from 1. Throws
/// Error{invalid} for any other text.
void arm(std::string_view specification);
/// Arms from BLOCKHOST_FAULT when it is set, once per process. Called when a simulated world is made.
void arm_from_environment();

/// One point. `where` names it in the thrown message ("files.replace", "simulated.define.after").
void point(std::string_view where);

/// Whether this process leaves something out, by which the tests prove that they would notice. Always false
/// in a build without tests; else BLOCKHOST_LEAVE_OUT decides: "revert NAME", "sync PATTERN" or "lock
/// PATTERN", where PATTERN (fnmatch) matches paths, and a folder's path ends with "/".
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
