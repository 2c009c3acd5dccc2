// SPDX-License-Identifier: MIT
#include "agent/accepted.hpp"

#include "base/text/text.hpp"

namespace blockhost::agent {

const std::string_view accepted_tables = R"(
CREATE TABLE accepted(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT;
)";

const std::string_view wanted_tables = R"(
CREATE TABLE wanted_power(
    guest TEXT PRIMARY KEY,
    power TEXT NOT NULL
) STRICT;
)";

const std::string_view document_tables = R"(
CREATE TABLE accepted_document(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE reached(
    guest TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;
)";

Known Accepted::known() {
    auto rows = database_.rows("SELECT generation, digest FROM accepted");
    if (!rows.next()) return {};
    return {.generation = rows.integer(0), .digest = rows.text(1)};
}

void Accepted::accept(const Desired& desired) {
    store::Transaction all(database_);
    const auto changed = database_.run("INSERT INTO accepted(one, generation, digest) VALUES (1, ?1, ?2) "
                                       "ON CONFLICT(one) DO UPDATE SET generation = ?1, digest = ?2 "
                                       "WHERE generation < ?1 OR (generation = ?1 AND digest = ?2)",
                                       {desired.generation, desired.digest});
    if (changed == 0)
        throw Error(Code::wrong_state, "a later desired state was accepted meanwhile",
                    "plan again with that one");
    database_.run("INSERT INTO accepted_document VALUES (1, ?1, ?2) "
                  "ON CONFLICT(one) DO UPDATE SET digest = ?1, document = ?2",
                  {desired.digest, desired.text});
    database_.run("DELETE FROM reached WHERE generation <> ?1", {desired.generation});
    database_.run("DELETE FROM wanted_power");
    for (const WantedGuest& guest : desired.guests)
        if (guest.power)
            database_.run("INSERT INTO wanted_power VALUES (?1, ?2)", {guest.id, to_string(*guest.power)});
    all.commit();
}

std::optional<std::string> Accepted::document() {
    auto rows = database_.rows(
        "SELECT document FROM accepted_document JOIN accepted USING (digest) WHERE document <> ''");
    if (!rows.next()) return std::nullopt;
    return rows.text(0);
}

bool Accepted::was_reached(const platform::GuestId& guest, std::int64_t generation) {
    return database_
        .integer("SELECT 1 FROM reached WHERE guest = ?1 AND generation = ?2", {guest, generation})
        .has_value();
}

void Accepted::note_reached(const platform::GuestId& guest, std::int64_t generation) {
    if (was_reached(guest, generation)) return; // an idle host writes nothing
    database_.run("INSERT INTO reached VALUES (?1, ?2) ON CONFLICT(guest) DO UPDATE SET generation = ?2",
                  {guest, generation});
}

std::optional<WantedPower> Accepted::power_of(const platform::GuestId& guest) {
    auto rows = database_.rows("SELECT power FROM wanted_power WHERE guest = ?1", {guest});
    if (!rows.next()) return std::nullopt;
    for (const WantedPower power : {WantedPower::running, WantedPower::stopped, WantedPower::absent})
        if (rows.text(0) == to_string(power)) return power;
    throw Error(Code::internal, "no wanted power: " + text::printable(rows.text(0)));
}

} // namespace blockhost::agent
