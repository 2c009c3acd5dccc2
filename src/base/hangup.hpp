// SPDX-License-Identifier: MIT
#pragma once
/// SIGHUP as a service understands it: read the configuration anew, rather than end.

namespace blockhost {

/// From now on SIGHUP is noted here, and ends nothing. After install_signal_notes() (base/interrupt.hpp),
/// before any thread starts.
void note_hangups();
/// Whether one came since this was asked last.
bool take_hangup();

} // namespace blockhost
