// SPDX-License-Identifier: MIT
#pragma once
/// What healing remembers of each guest, on disk.

#include "execution/healing.hpp"
#include "store/database.hpp"

namespace blockhost::execution {

/// The tables, for the schema of the database that holds them.
extern const std::string_view healing_tables;

/// For one thread. Throws store::StoreError.
class Episodes {
  public:
    explicit Episodes(store::Database database) : database_(std::move(database)) {}

    /// An empty one for a guest that nothing is remembered of.
    Episode find(const platform::GuestId& guest);
    /// Durable when it returns: call it before what the episode counts is begun.
    void keep(const platform::GuestId& guest, const Episode& episode);
    /// Those that something is remembered of.
    std::vector<platform::GuestId> guests();
    /// The guest is no more.
    void forget(const platform::GuestId& guest);

  private:
    store::Database database_;
};

} // namespace blockhost::execution
