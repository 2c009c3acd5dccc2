// SPDX-License-Identifier: MIT
#pragma once
/// The right to carry out one action on one guest.

#include "platform/action.hpp"

namespace blockhost::authority {
class Gate;
}

namespace blockhost::platform {

struct PermitForTests;

/// Made by the gate alone, for exactly one target and one kind of action. A platform refuses to do anything
/// else with it. Cannot be copied: who hands it on gives it away.
class Permit {
  public:
    Permit(Permit&&) = default;
    Permit& operator=(Permit&&) = default;
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;

    const Target& target() const { return target_; }
    ActionKind kind() const { return kind_; }
    /// Whether it is the right to do `action` to `target`.
    bool is_for(const Target& target, const Action& action) const {
        return target == target_ && kind_of(action) == kind_;
    }

  private:
    friend class authority::Gate;
    friend struct PermitForTests;
    Permit(Target target, ActionKind kind) : target_(std::move(target)), kind_(kind) {}

    Target target_;
    ActionKind kind_;
};

} // namespace blockhost::platform
