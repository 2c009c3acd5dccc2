// SPDX-License-Identifier: MIT
#pragma once
/// The kernel's knowledge of its clock.

namespace blockhost::host {

/// False when the kernel says that nothing synchronises its clock (adjtimex(2): STA_UNSYNC).
bool clock_is_synchronised();

} // namespace blockhost::host
