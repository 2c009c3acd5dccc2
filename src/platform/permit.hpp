// SPDX-License-Identifier: MIT
#pragma once
/// The right to carry out one action on one guest, once.

#include "platform/action.hpp"

#include <utility>

namespace blockhost::authority {
class Gate;
}

namespace blockhost::platform {

class Platform;
struct PermitForTests;

/// Made by the gate alone, for one action with all of its parameters on one incarnation of one guest. What is
/// begun is taken out of it, so that it cannot be used for anything else. Cannot be copied: who hands it on
/// gives it away. Spent at a platform's door (Platform::begin), and there once.
class Permit {
  public:
    Permit(Permit&& other) noexcept
        : target_(std::move(other.target_)), action_(std::move(other.action_)),
          is_spent_(std::exchange(other.is_spent_, true)) {}
    Permit& operator=(Permit&& other) noexcept {
        target_ = std::move(other.target_), action_ = std::move(other.action_);
        is_spent_ = std::exchange(other.is_spent_, true);
        return *this;
    }
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;
    ~Permit() = default;

    const Target& target() const { return target_; }
    const Action& action() const { return action_; }
    ActionKind kind() const { return kind_of(action_); }
    /// Whether it is the right to do exactly that to exactly this one.
    bool is_for(const Target& target, const Action& action) const {
        return target == target_ && action == action_;
    }
    /// It was used, or given away.
    bool is_spent() const { return is_spent_; }

  private:
    friend class authority::Gate;
    friend class Platform;
    friend struct PermitForTests;
    Permit(Target target, Action action) : target_(std::move(target)), action_(std::move(action)) {}

    Target target_;
    Action action_;
    bool is_spent_ = false;
};

} // namespace blockhost::platform
