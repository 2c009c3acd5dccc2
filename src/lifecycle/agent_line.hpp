#pragma once
/// The guest agent of one VM, reached through the hypervisor within a deadline. The same words for the same
/// trouble, whoever speaks to a guest.

#include "base/interrupt.hpp"
#include "base/time.hpp"
#include "guest/exec.hpp"
#include "hypervisor/hypervisor.hpp"
#include "model/names.hpp"

namespace blockhost {

/// Throws, besides what the hypervisor throws: Error{not_found} there is no such VM; Error{wrong_state} it
/// does not run; Error{guest} its agent is not connected, or does not answer; Error{interrupted} by a signal.
class AgentLine {
  public:
    /// `hypervisor` must outlive it; nothing takes longer than until `end`, or a second
    /// behind it.
    AgentLine(Observer& hypervisor, VmName name, Deadline end)
        : hypervisor_(hypervisor), name_(std::move(name)), end_(end) {}
    AgentLine(const AgentLine&) = delete;

    /// Makes sure within 3 s that the agent answers.
    void greet() const;
    /// Commands to the agent; valid as long as this.
    guest::AgentCall call() const;
    /// Pauses that a signal ends.
    guest::Waiting waiting() const;
    std::chrono::milliseconds left() const { return end_.left(); }

  private:
    /// What cleans up behind an interruption is not interrupted again.
    void check_once() const;
    std::string ask(const std::string& command, std::chrono::seconds longest,
                    std::chrono::milliseconds limit) const;

    Observer& hypervisor_;
    VmName name_;
    Deadline end_;
    mutable Interruption interruption_;
};

} // namespace blockhost
