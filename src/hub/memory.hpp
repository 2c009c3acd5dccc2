// SPDX-License-Identifier: MIT
#pragma once
/// What a host remembers of its hub. The tables are those of outbox.hpp.

#include "hub/answer.hpp"
#include "store/database.hpp"

#include <set>

namespace blockhost::hub {

/// For one thread; the database outlives it. Each function throws store::StoreError. Changes are part of the
/// caller's transaction, if one is open.
class Memory {
  public:
    explicit Memory(store::Database& database) : database_(database) {}

    /// Numbers of reports are reserved on disk, many at a time, so that a report can be numbered while the
    /// disk is full: the first of `how_many` that nobody has used.
    std::int64_t reserve_numbers(std::int64_t how_many);

    bool is_blocked() const { return fact("blocked") == "1"; }
    void set_blocked(bool blocked) { set("blocked", blocked ? "1" : ""); }

    /// The head of the audit with the highest line that a hub told; empty: none did.
    std::string known_audit() const { return fact("known_audit"); }
    /// Remembers it, unless one of a higher line was told.
    void note_audit(const std::string& head);

    /// The announcement that was refused last, as the document was then. Announced anew, it is not looked at.
    bool was_refused(const Announced& announced) const;
    void note_refused(const Announced& announced);
    void forget_refused() { set("refused", ""); }

    /// The set of signed operations that is dealt with.
    std::string signed_mark() const { return fact("signed_mark"); }
    /// All of the set are dealt with: others are forgotten.
    void note_signed_set(const std::string& mark, const std::set<std::string>& digests);
    bool is_dealt_with(const std::string& digest);
    void note_dealt_with(const std::string& digest);

    /// What was told once and need not be told again while it stays the same.
    bool is_told(const std::string& about, const std::string& what) const {
        return fact("told " + about) == what;
    }
    void note_told(const std::string& about, const std::string& what) { set("told " + about, what); }

    /// Up to which of its changes the operations' journal was read; nothing: it never was.
    std::optional<std::int64_t> journal_position() const;
    void note_journal_position(std::int64_t position);

  private:
    std::string fact(std::string_view name) const; ///< empty when there is none
    void set(std::string_view name, std::string_view value);
    store::Database& database_;
};

} // namespace blockhost::hub
