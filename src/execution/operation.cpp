// SPDX-License-Identifier: MIT
#include "execution/operation.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace blockhost::execution {

namespace {

using enum State;
constexpr std::array all{queued, waiting, noted, begun, done, failed, unknown, rejected, cancelled};
constexpr std::array<std::string_view, all.size()> names{
    "queued",   "waiting for signature", "noted", "begun", "done", "failed", "unknown", "rejected",
    "cancelled"};

/// Back to `queued` goes what was certainly not begun. A note is followed by another one where somebody took
/// the id that it held.
constexpr std::array<std::pair<State, State>, 18> moves{{
    {queued, noted},
    {queued, waiting},
    {queued, failed},
    {queued, rejected},
    {queued, cancelled},
    {waiting, queued},
    {waiting, failed},
    {waiting, rejected},
    {waiting, cancelled},
    {noted, noted},
    {noted, queued},
    {noted, begun},
    {noted, done},
    {noted, failed},
    {noted, unknown},
    {begun, done},
    {begun, failed},
    {begun, unknown},
}};

constexpr std::array<std::string_view, 9> sources{"shell",   "hub",       "desired",  "timer", "local",
                                                  "healing", "take-back", "selftest", "drill"};

template<class Enum, std::size_t count>
std::optional<Enum> found_in(const std::array<std::string_view, count>& names, std::string_view name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return static_cast<Enum>(found - names.begin());
}

} // namespace

std::string_view to_string(State state) {
    return names[static_cast<std::size_t>(state)];
}

std::optional<State> state_named(std::string_view name) {
    return found_in<State>(names, name);
}

std::span<const State> states() {
    return all;
}

bool is_end(State state) {
    return state >= done;
}

bool may_become(State from, State to) {
    return std::ranges::find(moves, std::pair(from, to)) != moves.end();
}

bool makes_guest(const platform::Action& action) {
    return std::holds_alternative<platform::Create>(action) ||
           std::holds_alternative<platform::Restore>(action);
}

std::string_view to_string(Source::Kind kind) {
    return sources[static_cast<std::size_t>(kind)];
}

bool is_trial(Source::Kind kind) {
    return kind == Source::Kind::selftest || kind == Source::Kind::drill;
}

std::optional<Source::Kind> source_named(std::string_view name) {
    return found_in<Source::Kind>(sources, name);
}

} // namespace blockhost::execution
