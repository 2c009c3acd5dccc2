#pragma once
/// What the kernel knows about its clock.

namespace blockhost::host {

/// False when the kernel says that nothing keeps its clock on time (adjtimex(2): STA_UNSYNC).
bool clock_is_synchronised();

} // namespace blockhost::host
