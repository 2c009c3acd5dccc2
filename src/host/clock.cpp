// SPDX-License-Identifier: MIT
/// See clock.hpp.

#include "host/clock.hpp"

#include <sys/timex.h>

namespace blockhost::host {

bool clock_is_synchronised() {
    timex state{};
    return adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

} // namespace blockhost::host
