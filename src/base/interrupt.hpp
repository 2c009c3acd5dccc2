// SPDX-License-Identifier: MIT
#pragma once
/// Why work should stop: a signal was noted, or another operation asked this one to give up.

#include <functional>
#include <string>

namespace blockhost {

/// Installs handlers that only note the signal: for SIGINT and SIGTERM, and for every other signal that would
/// end the process without being a fault of it (SIGHUP, SIGQUIT, SIGXCPU …) unless it is ignored already.
/// SIGPIPE and SIGXFSZ are ignored, since write reports both. SIGCHLD gets its default. Call once, from main,
/// before any thread starts.
void install_signal_notes();

/// The first signal noted, or 0.
int noted_signal();

/// Why work should stop now, if it should. Check before each step, and at least every 200 ms in each wait.
class Interruption {
  public:
    enum class Reason { none, signal, asked_to_give_up };
    /// `asked` is called after the signals were checked; empty: nobody can ask.
    explicit Interruption(std::function<bool()> asked = {}) : asked_(std::move(asked)) {}

    Reason reason() const;
    /// Throws Error{interrupted} with the reason, if there is one.
    void check() const;
    /// From now on nothing interrupts: rolling back and rolling forward must finish.
    void ignore_from_now() { ignored_ = true; }

  private:
    std::function<bool()> asked_;
    bool ignored_ = false;
};

} // namespace blockhost
