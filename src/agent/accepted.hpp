// SPDX-License-Identifier: MIT
#pragma once
/// Which desired state this host follows: its generation only grows.

#include "agent/desired.hpp"
#include "store/database.hpp"

namespace blockhost::agent {

/// One migration of the agent's schema.
extern const std::string_view accepted_tables;
/// Further ones.
extern const std::string_view wanted_tables, document_tables;

/// For one thread. Throws store::StoreError.
class Accepted {
  public:
    explicit Accepted(store::Database database) : database_(std::move(database)) {}

    /// What a document has to agree with: nothing was accepted yet, or the generation and digest that were.
    Known known();
    /// From now on this one is followed; durable when it returns. Throws Error{wrong_state} when another
    /// process has accepted a later one meanwhile, or another one of the same generation.
    void accept(const Desired& desired);
    /// The document that was accepted last, as it came; nothing: none was, or by a version of this program
    /// that did not keep it.
    std::optional<std::string> document();
    /// Whether a guest was once seen to run in that generation, as it was wanted: from then on it is healing
    /// that starts it again.
    bool was_reached(const platform::GuestId& guest, std::int64_t generation);
    void note_reached(const platform::GuestId& guest, std::int64_t generation);
    /// What the one that was accepted says of that guest's power; nothing when it says nothing of it, or none
    /// was accepted. Throws Error{internal} for a row that this program did not write.
    std::optional<WantedPower> power_of(const platform::GuestId& guest);

  private:
    store::Database database_;
};

} // namespace blockhost::agent
