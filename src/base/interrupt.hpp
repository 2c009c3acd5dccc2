#pragma once
/// SIGINT, SIGTERM and SIGHUP as something a step can look at, joined with another operation's wish that we
/// give up.

#include <functional>
#include <string>

namespace blockhost {

/// Installs handlers for SIGINT, SIGTERM and (unless it is ignored) SIGHUP that only note the signal; SIGPIPE
/// is ignored, SIGCHLD not. Call once, from main, before any thread starts.
void install_signal_notes();

/// The first signal noted, or 0.
int noted_signal();

/// Why work should stop now, if it should. Looked at before each step and, at least every 200 ms, in each
/// wait.
class Interruption {
  public:
    enum class Reason { none, signal, asked_to_give_up };
    /// `asked` is looked at after the signals; empty means nobody can ask.
    explicit Interruption(std::function<bool()> asked = {}) : asked_(std::move(asked)) {}

    Reason reason() const;
    /// Throws Error{interrupted} with the reason when there is one.
    void check() const;
    /// From now on nothing interrupts: rolling back and rolling forward finish what they began.
    void ignore_from_now() { ignored_ = true; }

  private:
    std::function<bool()> asked_;
    bool ignored_ = false;
};

} // namespace blockhost
