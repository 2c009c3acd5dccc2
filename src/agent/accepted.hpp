// SPDX-License-Identifier: MIT
#pragma once
/// Which desired state this host follows: its generation only grows.

#include "agent/desired.hpp"
#include "store/database.hpp"

namespace blockhost::agent {

/// One migration of the agent's schema.
extern const std::string_view accepted_tables;
/// A further one.
extern const std::string_view wanted_tables;

/// For one thread. Throws store::StoreError.
class Accepted {
  public:
    explicit Accepted(store::Database database) : database_(std::move(database)) {}

    /// What a document has to agree with: nothing was accepted yet, or the generation and digest that were.
    Known known();
    /// From now on this one is followed; durable when it returns. Throws Error{wrong_state} when another
    /// process has accepted a later one meanwhile, or another one of the same generation.
    void accept(const Desired& desired);
    /// What the one that was accepted says of that guest's power; nothing when it says nothing of it, or none
    /// was accepted. Throws Error{internal} for a row that this program did not write.
    std::optional<WantedPower> power_of(const platform::GuestId& guest);

  private:
    store::Database database_;
};

} // namespace blockhost::agent
