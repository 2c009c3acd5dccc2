// SPDX-License-Identifier: MIT
#include "hub/outbox.hpp"

#include "base/text/json.hpp"

namespace blockhost::hub {

const std::string_view tables = R"(
CREATE TABLE hub_events(
    sequence INTEGER PRIMARY KEY,
    is_end INTEGER NOT NULL,
    size INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;
CREATE INDEX hub_events_by_rank ON hub_events (is_end, sequence);
CREATE TABLE hub_counts(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_sequence INTEGER NOT NULL,
    details_dropped INTEGER NOT NULL,
    ends_dropped INTEGER NOT NULL
) STRICT;
INSERT INTO hub_counts VALUES (1, 0, 0, 0);
CREATE TABLE hub_facts(
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE hub_dealt_with(
    digest TEXT PRIMARY KEY
) STRICT;
)";

namespace {

/// A transaction, unless the caller has one open.
class Together {
  public:
    explicit Together(store::Database& database) {
        if (!database.in_transaction()) own_.emplace(database);
    }
    void commit() {
        if (own_) own_->commit();
    }

  private:
    std::optional<store::Transaction> own_;
};

} // namespace

void Outbox::add(Rank rank, const boost::json::object& event, Instant at) {
    Together all(database_);
    const std::int64_t sequence = last_sequence() + 1;
    boost::json::object whole{{"sequence", sequence}, {"at", format_instant(at)}};
    for (const auto& [key, value] : event) whole[key] = value;
    const std::string text = json::python_line(whole);
    database_.run("INSERT INTO hub_events VALUES (?1, ?2, ?3, ?4)",
                  {sequence, rank == Rank::end ? 1 : 0, static_cast<std::int64_t>(text.size()), text});
    database_.run("UPDATE hub_counts SET last_sequence = ?1", {sequence});
    drop_what_is_too_much();
    all.commit();
}

void Outbox::drop_what_is_too_much() {
    while (database_.integer("SELECT COUNT(*) FROM hub_events").value_or(0) > bounds_.most ||
           database_.integer("SELECT SUM(size) FROM hub_events").value_or(0) > bounds_.most_bytes) {
        const auto victim =
            database_.integer("SELECT sequence FROM hub_events ORDER BY is_end, sequence LIMIT 1");
        if (!victim) return;
        database_.run("UPDATE hub_counts SET "
                      "ends_dropped = ends_dropped + (SELECT is_end FROM hub_events WHERE sequence = ?1), "
                      "details_dropped = details_dropped + 1 - "
                      "(SELECT is_end FROM hub_events WHERE sequence = ?1)",
                      {*victim});
        database_.run("DELETE FROM hub_events WHERE sequence = ?1", {*victim});
    }
}

Outbox::Batch Outbox::next() {
    Batch batch;
    std::int64_t bytes = 0;
    auto rows = database_.rows("SELECT sequence, size, event FROM hub_events ORDER BY sequence");
    while (rows.next()) {
        bytes += rows.integer(1);
        if (!batch.events.empty() && (static_cast<std::int64_t>(batch.events.size()) == bounds_.batch ||
                                      bytes > bounds_.batch_bytes)) {
            batch.more = true;
            break;
        }
        batch.events.push_back(json::parse(rows.text(2), "an event"));
        batch.last = rows.integer(0);
    }
    return batch;
}

void Outbox::acknowledge(std::int64_t sequence) {
    database_.run("DELETE FROM hub_events WHERE sequence <= ?1", {sequence});
}

std::int64_t Outbox::last_sequence() {
    return database_.integer("SELECT last_sequence FROM hub_counts").value_or(0);
}

void Outbox::go_on_behind(std::int64_t sequence) {
    Together all(database_);
    const std::int64_t last = last_sequence();
    if (sequence <= last) return;
    // From the last one on, so that none meets another on its way.
    std::vector<std::pair<std::int64_t, std::string>> waiting;
    {
        auto rows = database_.rows("SELECT sequence, event FROM hub_events ORDER BY sequence DESC");
        while (rows.next()) waiting.emplace_back(rows.integer(0), rows.text(1));
    }
    for (const auto& [old, text] : waiting) {
        const std::int64_t anew = old + sequence;
        auto event = json::parse(text, "an event");
        event.as_object()["sequence"] = anew;
        database_.run("UPDATE hub_events SET sequence = ?2, event = ?3 WHERE sequence = ?1",
                      {old, anew, json::python_line(event)});
    }
    database_.run("UPDATE hub_counts SET last_sequence = ?1", {last + sequence});
    all.commit();
}

Dropped Outbox::dropped() {
    auto rows = database_.rows("SELECT details_dropped, ends_dropped FROM hub_counts");
    if (!rows.next()) return {};
    return {.details = rows.integer(0), .ends = rows.integer(1)};
}

bool Outbox::is_empty() {
    return !database_.integer("SELECT 1 FROM hub_events LIMIT 1");
}

} // namespace blockhost::hub
