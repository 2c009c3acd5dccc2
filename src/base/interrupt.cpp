// SPDX-License-Identifier: MIT
// Notes signals, and tells whether to stop.
#include "base/interrupt.hpp"

#include "base/error.hpp"

#include <atomic>
#include <csignal>
#include <cstring>

namespace blockhost {

namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may use nothing else");

/// Signals that end a process unless caught, and are not a fault of the process. SIGXCPU comes a while before
/// the kernel's SIGKILL.
constexpr int other_wishes[] = {SIGHUP,  SIGQUIT,   SIGXCPU, SIGUSR1, SIGUSR2,
                                SIGALRM, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR};

void note(int number) {
    int none = 0;
    first_signal.compare_exchange_strong(none, number);
}

} // namespace

void install_signal_notes() {
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART; // poll and sleeps still end with EINTR
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
    for (const int number : other_wishes) {
        struct sigaction inherited {};
        const bool stays_ignored =
            sigaction(number, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN; // nohup
        if (!stays_ignored) sigaction(number, &action, nullptr);
    }
    action.sa_handler = SIG_IGN;
    for (const int number : {SIGPIPE, SIGXFSZ}) sigaction(number, &action, nullptr); // write reports both
    action.sa_handler = SIG_DFL; // left ignored by our parent, it would lose children's exit statuses
    sigaction(SIGCHLD, &action, nullptr);
}

int noted_signal() {
    return first_signal;
}

Interruption::Reason Interruption::reason() const {
    if (ignored_) return Reason::none;
    if (noted_signal() != 0) return Reason::signal;
    return asked_ && asked_() ? Reason::asked_to_give_up : Reason::none;
}

void Interruption::check() const {
    switch (reason()) {
    case Reason::none:
        return;
    case Reason::signal:
        throw Error(Code::interrupted, std::string("interrupted by SIG") + sigabbrev_np(noted_signal()));
    case Reason::asked_to_give_up:
        throw Error(Code::interrupted, "another operation on this VM asked this one to give up");
    }
}

} // namespace blockhost
