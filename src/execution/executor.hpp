// SPDX-License-Identifier: MIT
#pragma once
/// Carries an operation out, or finds out what became of one that a dead process began. What it does next is
/// on disk first; what was begun is never begun again.

#include "execution/journal.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <variant>

namespace blockhost::execution {

/// The gate's answer when a signature lacks: `why` says for what.
struct Waits {
    std::string why;
};
/// A permit for exactly this operation's target and action; or it waits; or it may not be done.
using Verdict = std::variant<platform::Permit, Waits, Error>;
/// The gate, as operations meet it. It is asked again for the same operation after a crash: whoever has
/// permitted that operation permits it then, too. What it throws says that it could not decide: it is asked
/// again for as long as a lock is waited for (Patience::begin). Then the operation fails; one that came with
/// a signature waits for one again.
using Door = std::function<Verdict(const Operation&)>;

/// How long things are waited for.
struct Patience {
    using Span = std::chrono::milliseconds;
    /// A lock on the guest, or a platform that is not reached: then the operation fails, with what held it.
    /// Also a refusal of the question what became of it: then it is unknown.
    Span begin = std::chrono::minutes(10);
    /// Until what held an operation up is looked at again.
    Span again = std::chrono::seconds(3);
    /// Signs of an action whose answer got lost.
    Span trace = std::chrono::minutes(1);
    /// The end of an action: longer than any takes that makes progress.
    Span end = std::chrono::hours(24);
};

/// How an operation's turn ended.
enum class Turn {
    ended, ///< it is at its end in the journal
    aside, ///< it waits for a signature
    held,  ///< it did not get on: its turn should come again in Patience::again
    left,  ///< it was begun and goes on, its handle or note is on disk: this process stops looking
};

/// What the turn's caller wants while it lasts.
struct Wishes {
    /// Waits; throws Error{interrupted} when this process stops. Called at least every few seconds.
    std::function<void(std::chrono::milliseconds)> pause;
    /// Whether the operation is not wanted any more.
    std::function<bool(const Id&)> is_cancelled = {};
};

/// Threads may take turns of different operations at the same time.
class Executor {
  public:
    Executor(Journal& journal, Door door, Patience patience)
        : journal_(journal), door_(std::move(door)), patience_(patience) {}

    /// `platform` is this thread's alone. Throws store::StoreError when the journal cannot be written: what
    /// was to follow has not happened, and the operation is recovered in a later turn.
    Turn turn(platform::Platform& platform, const Id& id, const Wishes& wishes);

  private:
    /// What one process knows of an operation between its turns.
    struct Attempt {
        std::optional<platform::Permit> permit; ///< that was not used: nothing was begun
        std::optional<Deadline> begin_ends, end_ends, refused_ends;
    };
    struct Now; ///< one turn
    Attempt& attempt(const Id& id);
    void forget(const Id& id);

    Journal& journal_;
    Door door_;
    Patience patience_;
    std::mutex mutex_; ///< of attempts_
    std::map<Id, Attempt> attempts_;
};

} // namespace blockhost::execution
