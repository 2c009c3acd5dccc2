// SPDX-License-Identifier: MIT
#include "base/hangup.hpp"

#include <atomic>
#include <csignal>

namespace blockhost {

namespace {

std::atomic<bool> came{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may use nothing else");

void note(int) {
    came = true;
}

} // namespace

void note_hangups() {
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGHUP, &action, nullptr);
}

bool take_hangup() {
    return came.exchange(false);
}

} // namespace blockhost
