// SPDX-License-Identifier: MIT
// What waits, as rows: the signed bytes, and who asked.
#include "authority/pending.hpp"

#include <fmt/format.h>

namespace blockhost::authority {

namespace {

constexpr std::string_view columns = "SELECT operation, envelope, source, requester, asked_at FROM pending";

Pending pending_in(const store::Rows& rows) {
    Pending pending;
    pending.operation = rows.text(0);
    pending.bytes = rows.text(1);
    pending.envelope = parse_envelope(pending.bytes);
    pending.source = rows.text(2);
    pending.requester = rows.text(3);
    pending.asked_at = Instant(std::chrono::microseconds(rows.integer(4)));
    return pending;
}

} // namespace

void Pendings::put(const Pending& pending) {
    const bool is_new = !find(pending.operation);
    if (is_new && database_.integer("SELECT count(*) FROM pending").value_or(0) >= most_pending)
        throw Error(Code::no_room, fmt::format("{} operations wait for a signature already", most_pending),
                    "approve or reject some of them");
    database_.run("INSERT INTO pending VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT(operation) DO UPDATE SET "
                  "envelope = ?2, source = ?3, requester = ?4, asked_at = ?5",
                  {pending.operation, pending.bytes, pending.source, pending.requester,
                   pending.asked_at.time_since_epoch().count()});
}

std::optional<Pending> Pendings::find(const std::string& operation) const {
    store::Rows rows = database_.rows(std::string(columns) + " WHERE operation = ?1", {operation});
    return rows.next() ? std::optional(pending_in(rows)) : std::nullopt;
}

std::vector<Pending> Pendings::all() const {
    std::vector<Pending> found;
    store::Rows rows = database_.rows(std::string(columns) + " ORDER BY asked_at, operation");
    while (rows.next()) found.push_back(pending_in(rows));
    return found;
}

bool Pendings::remove(const std::string& operation) {
    return database_.run("DELETE FROM pending WHERE operation = ?1", {operation}) > 0;
}

} // namespace blockhost::authority
