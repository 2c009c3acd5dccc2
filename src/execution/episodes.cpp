// SPDX-License-Identifier: MIT
#include "execution/episodes.hpp"

namespace blockhost::execution {

namespace {

std::optional<std::int64_t> microseconds(const std::optional<Instant>& instant) {
    if (!instant) return std::nullopt;
    return instant->time_since_epoch().count();
}

std::optional<Instant> instant(const std::optional<std::int64_t>& count) {
    if (!count) return std::nullopt;
    return Instant(std::chrono::microseconds(*count));
}

} // namespace

const std::string_view healing_tables = R"(
CREATE TABLE healing (
    guest         TEXT PRIMARY KEY,
    incarnation   TEXT NOT NULL,
    starts        INTEGER NOT NULL,
    last_start    INTEGER,
    running_since INTEGER,
    off_since     INTEGER,
    given_up      INTEGER NOT NULL
) STRICT;
)";

Episode Episodes::find(const platform::GuestId& guest) {
    auto row = database_.rows("SELECT incarnation, starts, last_start, running_since, off_since, given_up "
                              "FROM healing WHERE guest = ?1",
                              {guest});
    if (!row.next()) return {};
    return {.incarnation = row.text(0),
            .starts = static_cast<unsigned>(row.integer(1)),
            .last_start = instant(row.maybe_integer(2)),
            .running_since = instant(row.maybe_integer(3)),
            .off_since = instant(row.maybe_integer(4)),
            .given_up = row.integer(5) != 0};
}

void Episodes::keep(const platform::GuestId& guest, const Episode& episode) {
    database_.run("INSERT OR REPLACE INTO healing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                  {guest, episode.incarnation, episode.starts, microseconds(episode.last_start),
                   microseconds(episode.running_since), microseconds(episode.off_since), episode.given_up});
}

std::vector<platform::GuestId> Episodes::guests() {
    auto rows = database_.rows("SELECT guest FROM healing");
    std::vector<platform::GuestId> all;
    while (rows.next()) all.push_back(rows.text(0));
    return all;
}

void Episodes::forget(const platform::GuestId& guest) {
    database_.run("DELETE FROM healing WHERE guest = ?1", {guest});
}

} // namespace blockhost::execution
