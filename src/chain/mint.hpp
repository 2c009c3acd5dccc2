// SPDX-License-Identifier: MIT
#pragma once
/// Mints a token: a write to a chain that happens once.

#include "chain/plan.hpp"

#include <functional>

namespace blockhost::chain {

struct Minted {
    enum class How {
        now,       ///< sent by this call
        continued, ///< an interrupted call had signed it
        earlier    ///< an earlier call had finished it
    } how = How::now;
    MintIdentity identity;
    U256 token;
    Hash transaction{};
    std::uint64_t block = 0;
};

/// Mints, or continues what an interrupted call of the same order began, and calls `hand_over` with the
/// result. The mint is over only when `hand_over` has returned; until then the same order continues it.
/// Concurrent calls for the same order each mint, one after another. Throws as plan_mint and Confirmation do,
/// Obstacle when the node refuses what was just signed, and Error{chain} when the contract reverted, or when
/// it cannot be told which token was minted.
void mint(const MintTools& tools, const MintOrder& order,
          const std::function<void(const Minted&)>& hand_over);

} // namespace blockhost::chain
