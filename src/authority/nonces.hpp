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

    /// How many lines of the audit were announced: each is, before it is written. A record that has counted
    /// more was not written with this database, but with a later copy of it.
    std::int64_t announced() const { return fact("lines_announced"); }
    /// How many they are with the one that is about to be written.
    std::int64_t announce();
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
    /// For an admin who has to go on with an older copy, or after a clock that was wrong: `announced` lines
    /// were, those up to `given_up_line` that somebody elsewhere knows are missed no longer, the clock is
    /// what it is now, and every envelope made until now is void, since its nonce may have been used.
    void start_over(Instant now, std::int64_t announced, std::int64_t audit_line, std::int64_t given_up_line);
    std::int64_t given_up_line() const { return fact("given_up_line"); }

  private:
    std::int64_t fact(std::string_view name) const;
    void set(std::string_view name, std::int64_t number);
    store::Database& database_;
};

} // namespace blockhost::authority
