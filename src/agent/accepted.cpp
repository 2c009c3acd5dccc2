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
    database_.run("DELETE FROM wanted_power");
    for (const WantedGuest& guest : desired.guests)
        if (guest.power)
            database_.run("INSERT INTO wanted_power VALUES (?1, ?2)", {guest.id, to_string(*guest.power)});
    all.commit();
}

std::optional<WantedPower> Accepted::power_of(const platform::GuestId& guest) {
    auto rows = database_.rows("SELECT power FROM wanted_power WHERE guest = ?1", {guest});
    if (!rows.next()) return std::nullopt;
    for (const WantedPower power : {WantedPower::running, WantedPower::stopped, WantedPower::absent})
        if (rows.text(0) == to_string(power)) return power;
    throw Error(Code::internal, "no wanted power: " + text::printable(rows.text(0)));
}

} // namespace blockhost::agent
