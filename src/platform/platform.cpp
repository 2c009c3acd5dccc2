// SPDX-License-Identifier: MIT
#include "platform/platform.hpp"

#include <algorithm>

namespace blockhost::platform {

namespace {

/// For a platform whose guests have nothing in common.
class EachByItself final : public Reading {
  public:
    explicit EachByItself(Platform& platform) : platform_(platform) {}
    Guests list() override { return platform_.guests(); }
    std::optional<Guest> guest(const GuestId& id) override { return platform_.guest(id); }

  private:
    Platform& platform_;
};

} // namespace

std::unique_ptr<Reading> Platform::read() {
    return std::make_unique<EachByItself>(*this);
}

namespace {

using namespace std::chrono_literals;
using Pause = std::function<void(std::chrono::milliseconds)>;

/// Calls `look` until it gives an end, and nothing once the deadline passed. A look that was not answered
/// says nothing.
template<class Look>
std::optional<ActionState> look_until(const Deadline& deadline, const Pause& pause, Look look) {
    constexpr auto longest = 2000ms;
    for (std::chrono::milliseconds span = 100ms;; span = std::min(span * 3 / 2, longest)) {
        try {
            if (std::optional<ActionState> end = look()) return end;
        } catch (const Error& error) {
            const bool may_answer_yet = error.code() == Code::no_answer || row_of(error.code()).retry;
            if (!may_answer_yet || deadline.passed()) throw;
        }
        if (deadline.passed()) return std::nullopt;
        pause(std::min(span, std::max<std::chrono::milliseconds>(deadline.left(), 1ms)));
    }
}

} // namespace

std::vector<Lack> by_cause(const std::vector<Lack>& lacks) {
    std::vector<Lack> causes;
    for (const Lack& lack : lacks) {
        const auto same = std::ranges::find_if(causes, [&](const Lack& cause) {
            return cause.what == lack.what && cause.remedy == lack.remedy;
        });
        if (same == causes.end())
            causes.push_back(lack);
        else
            same->feature += ", " + lack.feature;
    }
    return causes;
}

bool may_have_begun(const Error& error) {
    return error.code() == Code::no_answer || error.code() == Code::interrupted ||
           error.code() == Code::internal;
}

void Platform::begin(Permit& permit, const Note& note, const std::function<void(const Handle&)>& accepted) {
    if (std::exchange(permit.is_spent_, true))
        throw Error(Code::internal, "a permit serves one action, and this one was used");
    bool is_accepted = false;
    try {
        begin_permitted(permit, note, [&](const Handle& handle) {
            is_accepted = true;
            accepted(handle);
        });
    } catch (const Error& error) {
        if (!is_accepted && !may_have_begun(error)) permit.is_spent_ = false;
        throw;
    }
}

void begin_new(Platform& platform, Permit& permit, const std::function<void(const Note&)>& noted,
               const std::function<void(const Handle&)>& accepted) {
    if (!permit.target().guest.empty())
        throw Error(Code::internal, "an id that was named is not exchanged for another");
    constexpr int most_tries = 10;
    for (int tries = 1;; ++tries) {
        const Note note = platform.note(permit.target(), permit.action());
        noted(note);
        try {
            return platform.begin(permit, note, accepted);
        } catch (const Error& error) {
            if (error.code() != Code::exists || tries == most_tries) throw;
        }
    }
}

ActionState await_end(Platform& platform, const Handle& handle, const Deadline& deadline, const Pause& pause,
                      const std::function<void(const ActionState&)>& seen) {
    const auto end = look_until(deadline, pause, [&]() -> std::optional<ActionState> {
        ActionState state = platform.look(handle);
        if (state.phase != ActionState::Phase::running && state.phase != ActionState::Phase::waiting)
            return state;
        if (seen) seen(state);
        return std::nullopt;
    });
    if (!end) throw Error(Code::no_answer, "the action is still under way", "it goes on: look again later");
    return *end;
}

ActionState recover_end(Platform& platform, const Target& target, const Action& action, const Note& note,
                        const Deadline& deadline, const std::function<void(const Handle&)>& found,
                        const Pause& pause) {
    std::optional<Handle> begun;
    const auto end = look_until(deadline, pause, [&]() -> std::optional<ActionState> {
        Trace trace = platform.trace(target, action, note);
        ActionState state;
        state.guest = std::move(trace.guest);
        switch (trace.kind) {
        case Trace::Kind::nothing:
            return std::nullopt;
        case Trace::Kind::done:
            state.phase = ActionState::Phase::done;
            state.warnings.emplace_back("its end was not seen: the guest is as it would be afterwards");
            return state;
        case Trace::Kind::begun:
            begun = std::move(trace.handle);
            return state;
        }
        return std::nullopt;
    });
    if (begun) {
        found(*begun);
        return await_end(platform, *begun, deadline, pause);
    }
    if (end) return *end;
    ActionState state;
    state.phase = ActionState::Phase::unknown;
    state.detail = "nothing tells whether it was begun";
    return state;
}

} // namespace blockhost::platform
