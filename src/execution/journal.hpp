// SPDX-License-Identifier: MIT
#pragma once
/// The operations' journal: what was asked for, what was begun, how it ended. Each state is on disk before
/// what it announces happens, so that a dead process leaves nothing that nobody knows of.

#include "execution/operation.hpp"
#include "store/database.hpp"

#include <mutex>

namespace blockhost::execution {

/// The tables of the journal, for the schema of the database that holds them.
extern const std::string_view journal_tables;

/// What `submit` made of a request.
struct Submitted {
    Operation operation;
    bool is_new = true; ///< false: the same wish was there already, this is how it stands
};

/// The operation is in a state, by now, from which this change does not lead: somebody else was faster.
/// Nothing was changed.
class Overtaken : public Error {
  public:
    explicit Overtaken(const Error& error) : Error(error) {}
};

/// Any thread may call it; other processes may write to the same database meanwhile. A change of state that
/// the table in operation.cpp does not have throws Overtaken. Every function throws store::StoreError; what
/// it was to write is not written then. One that names an operation throws Error{not_found} when there is
/// none.
class Journal {
  public:
    explicit Journal(store::Database database) : database_(std::move(database)) {}

    /// Queues it. Throws Error{invalid} for an id that is none, when its key or id was used for another wish,
    /// or when it is to follow an operation on another guest; Error{not_found} when there is none to follow.
    Submitted submit(const Request& request);

    std::optional<Operation> find(const Id& id);
    /// Those that have not ended, in order of arrival.
    std::vector<Operation> open();
    /// Those of a guest's id, the last one first.
    std::vector<Operation> of_guest(const platform::GuestId& guest, std::size_t most);
    /// Those of a guest's id, and those that made a guest of that id, the last one first.
    std::vector<Operation> about_guest(const platform::GuestId& guest);
    /// Those that changed since that position, in the order of their changes.
    std::vector<Operation> changed_since(std::int64_t position, std::size_t most = 1000);
    /// The last that arrived, the last one first.
    std::vector<Operation> latest(std::size_t most);
    /// Counts the changes ever made. It only grows: one that is lower than it was is that of an older copy of
    /// the database.
    std::int64_t position();

    /// `was_free`: see Operation.
    void noted(const Id& id, const platform::Note& note, bool was_free = false);
    void begun(const Id& id, const platform::Handle& handle);
    void ended(const Id& id, const End& end);
    /// It waits for a signature; `why` says for what.
    void waits(const Id& id, std::string_view why);
    /// One that waits for a signature is queued anew, as if it arrived now, with what was signed.
    void approved(const Id& id, std::string_view signed_operation);
    /// It was noted, and certainly not begun: it is queued again, and keeps its place. `why`: what it waits
    /// for.
    void put_back(const Id& id, std::string_view why);
    /// Says what an operation waits for, and leaves its state.
    void tell(const Id& id, std::string_view detail);
    /// Ends what was not begun; of what was begun, notes that it is not wanted any more. Nothing for what has
    /// ended. How it stands afterwards.
    Operation cancel(const Id& id, std::string_view why);

    /// Those that ended and are not on record elsewhere yet, in the order of their ends.
    std::vector<Operation> unrecorded(std::size_t most = 1000);
    /// That one is.
    void recorded(const Id& id);

    /// Fails those that wait for a signature and whose time to begin is over.
    void end_overdue(Instant moment);

    /// Queues the removal of the guest that a create or restore made, once. Throws Error{wrong_state} unless
    /// it is done, the guest's incarnation is known, and nothing was begun on that guest since but what
    /// follows it (Request::after): only that is undoing, everything else is a destroy.
    Operation take_back(const Id& id);

    /// Forgets what is on record and ended before that moment. A key that is forgotten is a new wish when it
    /// comes again.
    std::int64_t forget(Instant ended_before);

  private:
    Operation require(const Id& id);
    std::vector<Operation> read(std::string_view condition, std::initializer_list<store::Value> values);
    /// How the same wish stands, if it was delivered before.
    std::optional<Operation> delivered(const Request& request);
    Operation insert(const Request& request, const Id& undoes);
    std::int64_t next_position();

    std::mutex mutex_;
    store::Database database_;
};

} // namespace blockhost::execution
