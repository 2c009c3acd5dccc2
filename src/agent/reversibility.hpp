// SPDX-License-Identifier: MIT
#pragma once
/// Which actions can lose data, for plans. It knows kinds of actions alone, not where a thing came from: what
/// a plan calls benign is judged again where it is carried out.

#include "platform/action.hpp"

#include <string_view>

namespace blockhost::agent {

enum class Reversibility {
    benign,          ///< loses nothing
    needs_signature, ///< can lose the only copy of data
};

/// Of that kind of action on a guest about which nothing else is known.
Reversibility reversibility_of(platform::ActionKind kind);
/// What such an action can lose: one clause; empty for a benign one.
std::string_view loss_of(platform::ActionKind kind);

} // namespace blockhost::agent
