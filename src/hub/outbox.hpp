// SPDX-License-Identifier: MIT
#pragma once
/// What a host has to tell its hub: events, numbered in their order, on disk until the hub acknowledged them.
/// Bounded: what is too much is dropped, and counted.

#include "base/time.hpp"
#include "store/database.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace blockhost::hub {

/// The tables of outbox and memory, for the schema of the database that holds them.
extern const std::string_view tables;

/// What is dropped last.
enum class Rank {
    detail, ///< before all ends
    end,    ///< how an operation ended
};

struct OutboxBounds {
    std::int64_t most = 10'000, most_bytes = 4 << 20;  ///< that are kept
    std::int64_t batch = 500, batch_bytes = 256 << 10; ///< in one report; always at least one
};

/// How many events were dropped, ever.
struct Dropped {
    std::int64_t details = 0, ends = 0;
    bool operator==(const Dropped&) const = default;
};

/// For one thread; the database outlives it. Each function throws store::StoreError, and nothing of it
/// happened then. Changes are part of the caller's transaction, if one is open.
class Outbox {
  public:
    explicit Outbox(store::Database& database, OutboxBounds bounds = {})
        : database_(database), bounds_(bounds) {}

    /// Adds an event, which has the members "kind" and what belongs to that; gives it "sequence" and "at".
    void add(Rank rank, const boost::json::object& event, Instant at);

    struct Batch {
        boost::json::array events;
        std::int64_t last = 0; ///< the sequence of the last one; 0: there is none
        bool more = false;     ///< others wait behind it
    };
    /// The first that wait.
    Batch next();
    /// The hub keeps that one and all before it.
    void acknowledge(std::int64_t sequence);
    /// The sequence of the last event that was added; 0: there was none.
    std::int64_t last_sequence();
    /// Somebody has seen events up to that one, of which this database does not know: others go on behind it.
    /// What waits keeps its order.
    void go_on_behind(std::int64_t sequence);
    Dropped dropped();
    bool is_empty();

  private:
    void drop_what_is_too_much();
    store::Database& database_;
    OutboxBounds bounds_;
};

} // namespace blockhost::hub
