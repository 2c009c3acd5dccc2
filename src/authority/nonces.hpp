// SPDX-License-Identifier: MIT
#pragma once
/// Which nonces were used, and what the clock said then: in the agent's database.

#include "base/time.hpp"
#include "store/database.hpp"

namespace blockhost::authority {

/// Used nonces; durable before an action begins, kept until a day past their window. Instants count in
/// microseconds since 1970. The database outlives this.
class Nonces {
  public:
    explicit Nonces(store::Database& database) : database_(database) {}

    /// Uses the nonce up. The caller has a transaction open, and commits it. Throws Error{denied} when it was
    /// used before.
    void use(const std::string& nonce, const std::string& operation, Instant not_after, Instant now);

    /// How many were ever used; never less than before unless the database is an older one.
    std::int64_t ever() const { return fact("nonces_ever"); }
    /// The highest line of the audit that this database has seen.
    std::int64_t audit_line() const { return fact("audit_line"); }
    void note_audit_line(std::int64_t line);
    /// The audit was seen to end before a line that it once had; stays noted until start_over().
    void note_cut(std::int64_t behind_line);
    std::optional<std::int64_t> cut_behind() const;

    /// Throws Error{clock} when the clock is more than two minutes behind what it once was.
    void require_forward(Instant now) const;
    /// Remembers the time, to within ten seconds; it only grows.
    void note_clock(Instant now);

    /// When the last start_over() was, to the second: what may be approved begins then at the earliest.
    Instant started() const;
    /// Whether an envelope was made before that, which made it void.
    bool is_before_start(Instant not_before) const { return not_before < started(); }
    /// Throws Error{denied} for such a one.
    void require_after_start(Instant not_before) const;
    /// For an admin who has to go on with an older copy, or after a clock that was wrong: `ever` counts as
    /// used, lines up to `given_up_line` that somebody elsewhere knows are missed no longer, the clock is
    /// what it is now, and every envelope made until now is void, since its nonce may have been used.
    void start_over(Instant now, std::int64_t ever, std::int64_t audit_line, std::int64_t given_up_line);
    std::int64_t given_up_line() const { return fact("given_up_line"); }

  private:
    std::int64_t fact(std::string_view name) const;
    void set(std::string_view name, std::int64_t number);
    store::Database& database_;
};

} // namespace blockhost::authority
