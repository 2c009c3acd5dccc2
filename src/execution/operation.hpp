// SPDX-License-Identifier: MIT
#pragma once
/// An operation: one action on one guest, from the wish to its end, and the states in between.

#include "base/error.hpp"
#include "base/time.hpp"
#include "platform/platform.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::execution {

enum class State {
    queued,    ///< nothing was begun
    waiting,   ///< for a signature; nothing was begun
    noted,     ///< permitted, with a note on disk: the next thing is its begin
    begun,     ///< the platform took it: its handle is on disk
    done,      ///< to its real end; warnings may tell more
    failed,    ///< `error` tells why; nothing was changed, or what was is told there
    unknown,   ///< it may have happened: `detail` tells what is known
    rejected,  ///< it may not be done, `error` tells why; nothing was begun
    cancelled, ///< it is not wanted any more; nothing was begun
};
/// "queued", "waiting for signature", …: as in documents and messages.
std::string_view to_string(State state);
std::optional<State> state_named(std::string_view name);
/// Each state once, in order.
std::span<const State> states();

/// Nothing follows on it.
bool is_end(State state);
/// Whether an operation may go from one state into another. A table: what it does not have is refused.
bool may_become(State from, State to);

/// Whether the action makes a new guest.
bool makes_guest(const platform::Action& action);

/// Whose wish it is.
struct Source {
    enum class Kind {
        shell,     ///< a verb that root called on this host
        hub,       ///< a job of the hub's
        desired,   ///< a difference from the desired state
        timer,     ///< a backup's time, an expiry
        local,     ///< a guest's or program's own door
        healing,   ///< a guest that should run, and crashed
        take_back, ///< what a failed create left is removed: Operation::undoes
        selftest,  ///< a trial of the agent's own that root called for
        drill      ///< a trial of the agent's own, of a backup
    } kind = Kind::shell;
    std::string name; ///< the user, the job, the generation …: printable; may be empty
    bool operator==(const Source&) const = default;
};
std::string_view to_string(Source::Kind kind);
std::optional<Source::Kind> source_named(std::string_view name);
/// Whether what it makes is scratch: made for a trial, and for nothing else. No request from outside has such
/// a source.
bool is_trial(Source::Kind kind);

using Id = std::string;

/// What is asked for.
struct Request {
    Source source;
    platform::Target target;
    platform::Action action;
    /// The same text is the same wish: delivered twice, it is carried out once. Empty: each is one of its
    /// own.
    std::string key = {};
    /// The operation's id, where a signature names it: 1 to 64 of a-z 0-9 . _ -. It is a key, too. Empty: it
    /// gets one.
    Id id = {};
    std::string signed_operation = {}; ///< for the gate, as it came; empty: none came
    /// An earlier operation on the same guest: unless that one is done, this one is cancelled. May be empty.
    Id after = {};
    /// Later than that it is not begun any more.
    std::optional<Instant> begin_before = {};
};

/// What came of it.
struct End {
    State state = State::done; ///< an end
    std::vector<std::string> warnings = {};
    std::optional<Error> error = {};
    std::string detail = {};
    platform::Target made = {}; ///< of create and restore: the new guest, as far as it is known
};

struct Operation {
    Id id;
    std::int64_t arrival = 0; ///< its place in the order of arrival
    std::int64_t changed = 0; ///< Journal::position of its last change
    Source source;
    platform::Target target;
    platform::Action action;
    std::string key;
    std::string signed_operation; ///< for the gate; empty: none
    Id after;
    /// The operation that made the guest which this one removes. Only this program's own conclusion sets it:
    /// no request can.
    Id undoes;
    std::optional<Instant> begin_before;

    State state = State::queued;
    platform::Note note;     ///< empty: none yet
    platform::Handle handle; ///< empty: none yet
    platform::Target made;   ///< of create and restore: the new guest, as far as it is known
    /// Of create and restore: the platform said that no guest has the id, before it was begun.
    bool was_free = false;
    bool cancel_wished = false; ///< of one that was begun: the platform is asked to stop it
    Instant arrived;
    std::optional<Instant> noted_at, begun_at, ended_at;
    std::vector<std::string> warnings;
    std::optional<Error> error;
    std::string detail; ///< what it waits for, or what is known of its end: one clause
};

} // namespace blockhost::execution
