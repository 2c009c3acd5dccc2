#pragma once
/// Minting: a write to a chain that happens once.

#include "chain/plan.hpp"

#include <functional>

namespace blockhost::chain {

struct Minted {
    enum class How {
        now,       ///< sent by this call
        continued, ///< an interrupted call had signed it
        earlier    ///< an earlier call had come to its end
    } how = How::now;
    MintIdentity identity;
    U256 token;
    Hash transaction{};
    std::uint64_t block = 0;
};

/// Mints, or continues what an interrupted call of the same order began, and calls `hand_over` with the
/// result. Only when that returns, the mint is history; until then the same order continues it. Of several
/// calls for the same order at once each mints, one after another. Throws as plan_mint and Pursuit do,
/// Obstacle when the node refuses what was just signed, and Error{chain} when the contract reverted, or what
/// was minted cannot be told.
void mint(const MintTools& tools, const MintOrder& order,
          const std::function<void(const Minted&)>& hand_over);

} // namespace blockhost::chain
