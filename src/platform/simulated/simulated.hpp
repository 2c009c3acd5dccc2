// SPDX-License-Identifier: MIT
#pragma once
/// A platform for tests and for trying things out: guests that are a JSON document in a folder. It refuses
/// what the real ones refuse, and fails on demand.

#include "platform/platform.hpp"

#include <filesystem>

namespace blockhost::platform {

/// `<folder>/platform.json` holds guests and actions; `<folder>/faults.json`, where it is there, what goes
/// wrong:
///   {"lose_before": N, "lose_after": N}   the next N actions' answers are lost, before or after they were
///   taken
///   {"fail": {"start": "words"}}          every action of that kind fails in the end
///   {"takes_ms": N}                       how long an action takes
///   {"unreadable": ["id"], "hidden": true}   guests that cannot be read; a list that may lack some
///   {"down": true}                        nothing answers
/// A guest that is off with "crashed": true crashed; any other one was switched off. A guest with "deaf":
/// true does not react to a shutdown. An action does at once what it does, however long it takes: an
/// interruption ends only one that will fail. Each action that was taken stays there, in the order in which
/// they were: its note -> {"kind", "guest", "action", "incarnation" of the guest as it was found, or as it
/// was made, "ends", "error" if it fails}. Fault points "simulated.begin" before an action is taken,
/// "simulated.begin.after" behind. Several processes may use one folder, one call at a time.
class Simulated : public Platform {
  public:
    explicit Simulated(std::filesystem::path folder) : folder_(std::move(folder)) {}

    Host host() override;
    std::vector<Lack> preflight() override;
    Guests guests() override;
    std::optional<Guest> guest(const GuestId& id) override;
    Outage outage(const Guest& guest, bool seen_running) override;
    std::optional<bool> is_mounted(const Target& storage, const std::string& point) override;
    Note note(const Target& target, const Action& action) override;
    Trace trace(const Target& target, const Action& action, const Note& note) override;
    ActionState look(const Handle& handle) override;
    void interrupt(const Handle& handle) override;

  protected:
    void begin_permitted(const Permit& permit, const Note& note,
                         const std::function<void(const Handle&)>& accepted) override;

  private:
    std::filesystem::path folder_;
};

} // namespace blockhost::platform
