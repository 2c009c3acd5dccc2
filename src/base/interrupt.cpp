// Notes of SIGINT, SIGTERM and SIGHUP, and what asks whether to stop.
#include "base/interrupt.hpp"

#include "base/error.hpp"

#include <atomic>
#include <csignal>
#include <cstring>

namespace blockhost {

namespace {

std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may use nothing else");

void note(int number) {
    int none = 0;
    first_signal.compare_exchange_strong(none, number);
}

} // namespace

void install_signal_notes() {
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART; // poll and sleeps end with EINTR all the same
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    struct sigaction inherited {};
    const bool keeps_running =
        sigaction(SIGHUP, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN; // nohup
    if (!keeps_running) sigaction(SIGHUP, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
    action.sa_handler = SIG_DFL; // were it ignored since our start, children's exit statuses would be lost
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
