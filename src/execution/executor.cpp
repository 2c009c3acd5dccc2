// SPDX-License-Identifier: MIT
#include "execution/executor.hpp"

#include "base/exceptions.hpp"
#include "base/fault.hpp"
#include "base/text/text.hpp"

namespace blockhost::execution {

namespace {

using platform::ActionState;
using platform::Handle;
using platform::Note;
using platform::Permit;
using platform::Platform;
using platform::Power;
using Phase = ActionState::Phase;

/// Whether the same call may succeed in a while, though nothing was begun by this one.
bool passes_by(const Error& error) {
    return error.code() == Code::busy || error.code() == Code::hypervisor_down ||
           error.code() == Code::no_answer;
}

End failure(const Error& error) {
    return {.state = State::failed, .error = error};
}

/// The journal could not be written, or somebody else wrote: no operation ends with that.
bool is_of_journal(const Error& error) {
    return dynamic_cast<const store::StoreError*>(&error) != nullptr ||
           dynamic_cast<const Overtaken*>(&error) != nullptr;
}

std::string told(const Error& error) {
    return text::printable(error.what(), 500);
}

} // namespace

struct Executor::Now {
    Executor& executor;
    Platform& platform;
    const Wishes& wishes;
    Operation operation;
    Attempt& attempt;
    std::optional<Handle> handle = {};
    bool began_here = false; ///< in this turn, and it was seen ever since

    Journal& journal() const { return executor.journal_; }
    const Id& id() const { return operation.id; }

    /// Writes to the journal. Whatever goes wrong there is no failure of the action.
    template<class Write>
    void write(Write write) {
        try {
            write(journal());
        } catch (const Error& error) {
            if (is_of_journal(error)) throw;
            throw store::StoreError(store::Trouble::failed, error.code(), error.message(), error.hint());
        }
    }

    Turn end(const End& how) {
        write([&](Journal& journal) { journal.ended(id(), how); });
        executor.forget(id());
        return Turn::ended;
    }

    /// Nothing was begun, and `error` may pass by.
    Turn hold(const Error& error) {
        if (!attempt.begin_ends) attempt.begin_ends = Deadline::in(executor.patience_.begin);
        if (attempt.begin_ends->passed()) return end(failure(error));
        write([&](Journal& journal) {
            if (operation.state == State::noted)
                journal.put_back(id(), told(error));
            else
                journal.tell(id(), told(error));
        });
        return Turn::held;
    }

    /// Something may have been begun, and the platform cannot be asked now.
    Turn ask_again(const Error& error) {
        if (error.code() == Code::interrupted) return Turn::left;
        if (!limit(error).passed()) {
            write([&](Journal& journal) {
                journal.tell(id(), "what became of it is not known yet: " + told(error));
            });
            return Turn::held;
        }
        return end(
            {.state = State::unknown, .error = error, .detail = "nobody could tell what became of it"});
    }

    /// What no wait mends is not waited for as long.
    const Deadline& limit(const Error& error) {
        if (error.code() == Code::no_answer || row_of(error.code()).retry) return end_ends();
        if (!attempt.refused_ends) attempt.refused_ends = Deadline::in(executor.patience_.begin);
        return *attempt.refused_ends;
    }

    const Deadline& end_ends() {
        if (!attempt.end_ends) attempt.end_ends = Deadline::in(executor.patience_.end);
        return *attempt.end_ends;
    }

    /// Why it need not be begun at all.
    std::optional<End> pointless() {
        if (operation.cancel_wished)
            return End{.state = State::cancelled, .detail = "it was not wanted any more"};
        if (operation.begin_before && now() > *operation.begin_before) {
            const std::string held = operation.detail.empty() ? "" : ": " + operation.detail;
            return failure(Error(Code::busy, "its time was over before it could be begun" + held,
                                 "ask for it again if it is still wanted"));
        }
        if (operation.after.empty()) return std::nullopt;
        const auto first = journal().find(operation.after);
        if (first && first->state == State::done) return std::nullopt;
        return End{.state = State::cancelled,
                   .detail = "it was to follow operation " + operation.after + ", which is " +
                             std::string(first ? to_string(first->state) : "forgotten")};
    }

    Turn begin() {
        if (const auto why = pointless()) return end(*why);
        Note note;
        bool was_free = operation.target.guest.empty();
        try {
            if (!was_free && makes_guest(operation.action))
                was_free = !platform.guest(operation.target.guest);
            if (!operation.target.guest.empty()) note = platform.note(operation.target, operation.action);
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) return Turn::held;
            return passes_by(error) ? hold(error) : end(failure(error));
        }
        if (!attempt.permit) {
            if (const auto stopped = ask_at_the_door()) return *stopped;
        }
        if (std::holds_alternative<platform::Destroy>(operation.action))
            if (const auto not_off = stop_first()) return *not_off;
        return begin(note, was_free);
    }

    /// Whoever may destroy a guest may stop it. That is an operation of its own, which a crash finds again,
    /// and this one's turn goes on when it is done. A guest that is another one by now is left to the
    /// platform to refuse.
    std::optional<Turn> stop_first() {
        try {
            const auto guest = platform.guest(operation.target.guest);
            const bool runs = guest && guest->incarnation == operation.target.incarnation &&
                              (guest->power == Power::running || guest->power == Power::paused);
            if (!runs) return std::nullopt;
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) return Turn::held;
            return passes_by(error) ? hold(error) : end(failure(error));
        }
        Id stop;
        write([&](Journal& journal) {
            stop = journal
                       .submit({.source = operation.source,
                                .target = operation.target,
                                .action = platform::Stop{.patience = std::chrono::seconds(0), .force = true},
                                .key = "stop before " + id()})
                       .operation.id;
        });
        executor.turn(platform, stop, wishes);
        const auto stopped = journal().find(stop);
        if (stopped && stopped->state == State::done) return std::nullopt;
        if (stopped && !is_end(stopped->state)) return Turn::held;
        return end(failure(stopped && stopped->error ? stopped->error->within("it could not be stopped")
                                                     : Error(Code::wrong_state, "it could not be stopped",
                                                             "stop it, and ask again")));
    }

    std::optional<Turn> ask_at_the_door() {
        try {
            Verdict verdict = executor.door_(operation);
            if (auto* permit = std::get_if<Permit>(&verdict)) {
                if (!permit->is_for(operation.target, operation.action))
                    return end({.state = State::rejected,
                                .error = Error(Code::internal, "what the gate permitted is another action")});
                attempt.permit = std::move(*permit);
                return std::nullopt;
            }
            if (const auto* refused = std::get_if<Error>(&verdict))
                return end({.state = State::rejected, .error = *refused});
            write([&](Journal& journal) { journal.waits(id(), std::get<Waits>(verdict).why); });
            executor.forget(id());
            return Turn::aside;
        } catch (const Error& error) {
            if (is_of_journal(error)) throw;
            return operation.signed_operation.empty() ? hold(error) : hold_signed(error);
        }
    }

    /// What was approved does not end because the gate could not decide: it waits for a signature again.
    Turn hold_signed(const Error& error) {
        if (!attempt.begin_ends) attempt.begin_ends = Deadline::in(executor.patience_.begin);
        if (!attempt.begin_ends->passed()) return hold(error);
        write([&](Journal& journal) {
            journal.waits(id(), "a signature is needed; what was signed could not be judged: " + told(error));
        });
        executor.forget(id());
        return Turn::aside;
    }

    void noted(const Note& note, bool was_free) {
        write([&](Journal& journal) { journal.noted(id(), note, was_free); });
        operation.state = State::noted;
        operation.note = note;
        operation.was_free = was_free;
    }

    void accepted(const Handle& given) {
        handle = given;
        write([&](Journal& journal) { journal.begun(id(), given); });
        operation.state = State::begun;
    }

    Turn begin(const Note& note, bool was_free) {
        const auto on_accepted = [this](const Handle& given) { accepted(given); };
        try {
            if (operation.target.guest.empty()) {
                begin_new(
                    platform, *attempt.permit, [&](const Note& next) { noted(next, was_free); }, on_accepted);
            } else {
                noted(note, was_free);
                fault::point("executor.begin");
                platform.begin(*attempt.permit, note, on_accepted);
            }
            fault::point("executor.begin.after");
        } catch (const Error& error) {
            if (is_of_journal(error)) throw;
            if (!handle) return not_accepted(error);
        } catch (const std::exception& thrown) {
            if (!handle) return find_again(as_error(thrown));
        }
        attempt.permit.reset();
        if (!handle) return find_again(Error(Code::internal, "the platform gave no handle"));
        began_here = true;
        return await();
    }

    Turn not_accepted(const Error& error) {
        if (operation.state == State::noted && platform::may_have_begun(error)) return find_again(error);
        if (!passes_by(error) || changed_meanwhile()) {
            attempt.permit.reset();
            return end(failure(error));
        }
        return hold(error); // the permit is not used up
    }

    /// A configuration that is not the one that was to be changed is none that a wait brings back.
    bool changed_meanwhile() {
        const auto* change = std::get_if<platform::SetConfig>(&operation.action);
        if (change == nullptr) return false;
        try {
            const auto guest = platform.guest(operation.target.guest);
            return guest && guest->digest != change->digest;
        } catch (const Error&) {
            return false; // a failed look says nothing
        }
    }

    /// It was noted, and whether it was begun is not known.
    Turn find_again(const std::optional<Error>& lost = {}) {
        attempt.permit.reset();
        try {
            const ActionState state = recover_end(
                platform, operation.target, operation.action, operation.note,
                Deadline::in(executor.patience_.trace), [this](const Handle& found) { accepted(found); },
                [this](std::chrono::milliseconds span) { pause(span); });
            return settle(state, lost);
        } catch (const Error& error) {
            if (is_of_journal(error)) throw;
            if (handle && error.code() == Code::no_answer) return await();
            return ask_again(error);
        }
    }

    Turn await() {
        try {
            return settle(await_end(
                platform, *handle, end_ends(), [this](std::chrono::milliseconds span) { pause(span); },
                [this](const ActionState& state) { tell(state.detail); }));
        } catch (const Error& error) {
            if (is_of_journal(error)) throw;
            return ask_again(error);
        }
    }

    /// How it gets on, where the platform tells that.
    void tell(const std::string& detail) {
        if (detail.empty() || detail == operation.detail) return;
        operation.detail = detail;
        write([&](Journal& journal) { journal.tell(id(), detail); });
    }

    void pause(std::chrono::milliseconds span) {
        if (handle && wishes.is_cancelled && wishes.is_cancelled(id())) {
            try {
                platform.interrupt(*handle);
            } catch (const Error& error) {
                if (error.code() == Code::interrupted) throw; // else it is asked again
            }
        }
        wishes.pause(span);
    }

    Turn settle(ActionState state, const std::optional<Error>& lost = {}) {
        // The platform has no record of it any more, and the guest may tell all the same.
        if (state.phase == Phase::unknown && handle)
            if (const auto trace = platform.trace(operation.target, operation.action, operation.note);
                trace.kind == platform::Trace::Kind::done) {
                state.phase = Phase::done;
                state.warnings.emplace_back("its end was not seen: the guest is as it would be afterwards");
            }
        End how{.warnings = state.warnings, .error = state.error, .detail = state.detail};
        how.state = state.phase == Phase::done     ? State::done
                    : state.phase == Phase::failed ? State::failed
                                                   : State::unknown;
        if (how.state == State::unknown && !how.error) how.error = lost;
        if (makes_guest(operation.action)) look_at_what_was_made(how, state.guest);
        return end(how);
    }

    /// Of a new guest, by which incarnation it can be told from later ones: only where it was seen from its
    /// begin to its end, since after a crash another one may have its id by now. Of one that failed, whether
    /// something is there now.
    void look_at_what_was_made(End& how, const platform::GuestId& known) {
        how.made.guest = known.empty() ? operation.target.guest : known;
        if (how.made.guest.empty()) return;
        try {
            const auto guest = platform.guest(how.made.guest);
            if (guest && how.state == State::done && began_here) how.made.incarnation = guest->incarnation;
            if (guest && how.state != State::done && operation.was_free)
                how.warnings.push_back("there is a guest " + text::printable(guest->id) +
                                       " now, which was not there before: remove it if this left it");
        } catch (const Error& error) {
            if (error.code() == Code::interrupted) throw;
            how.warnings.push_back("the new guest could not be looked at: " + told(error));
        }
    }
};

Executor::Attempt& Executor::attempt(const Id& id) {
    const std::lock_guard lock(mutex_);
    return attempts_[id]; // stays where it is
}

void Executor::forget(const Id& id) {
    const std::lock_guard lock(mutex_);
    attempts_.erase(id);
}

Turn Executor::turn(Platform& platform, const Id& id, const Wishes& wishes) {
    auto operation = journal_.find(id);
    if (!operation || is_end(operation->state)) {
        forget(id);
        return Turn::ended;
    }
    Now now{*this, platform, wishes, std::move(*operation), attempt(id)};
    try {
        switch (now.operation.state) {
        case State::queued:
            return now.begin();
        case State::noted:
            return now.find_again();
        case State::begun:
            now.handle = now.operation.handle;
            return now.await();
        default:
            return Turn::aside;
        }
    } catch (const Overtaken&) { // cancelled meanwhile, by another process
        const auto as_it_is = journal_.find(id);
        if (as_it_is && !is_end(as_it_is->state))
            return as_it_is->state == State::waiting ? Turn::aside : Turn::held;
        forget(id);
        return Turn::ended;
    }
}

} // namespace blockhost::execution
