// SPDX-License-Identifier: MIT
#pragma once
/// The guest agent of one VM, called through the hypervisor within a deadline. Every caller gets the same
/// message for the same failure.

#include "base/interrupt.hpp"
#include "base/time.hpp"
#include "guest/exec.hpp"
#include "hypervisor/hypervisor.hpp"
#include "model/names.hpp"

namespace blockhost {

/// Throws, besides the hypervisor's errors: Error{not_found} there is no such VM; Error{wrong_state} it does
/// not run, guest::Paused when it is paused; Error{guest} its agent is not connected, or does not answer;
/// Error{interrupted} a signal came.
class AgentLine {
  public:
    /// `hypervisor` must outlive this object. No call lasts beyond `end` by more than a second.
    AgentLine(Observer& hypervisor, VmName name, Deadline end)
        : hypervisor_(hypervisor), name_(std::move(name)), end_(end) {}
    AgentLine(const AgentLine&) = delete;

    /// Checks that the agent answers within 3 s.
    void greet() const;
    /// Sends commands to the agent; valid as long as this object.
    guest::AgentCall call() const;
    /// Pauses; a signal ends them.
    guest::Waiting waiting() const;
    std::chrono::milliseconds left() const { return end_.left(); }

  private:
    /// Throws once: the cleanup after an interruption is not interrupted again.
    void check_once() const;
    std::string ask(const std::string& command, std::chrono::seconds longest,
                    std::chrono::milliseconds limit) const;
    [[noreturn]] void refuse_while_it_does_not_run() const;

    Observer& hypervisor_;
    VmName name_;
    Deadline end_;
    mutable Interruption interruption_;
};

} // namespace blockhost
