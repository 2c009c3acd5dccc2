#pragma once
/// What a transaction offers for its gas (EIP-1559).

#include "chain/bytes.hpp"

namespace blockhost::chain {

inline constexpr std::uint64_t wei_a_gwei = 1'000'000'000;

/// In wei per gas.
struct Fees {
    U256 priority, max;
};

/// Enough for a base fee that doubles, never above `cap`. `base`: of the latest block; `priority`: what the
/// node advises, nothing: 1 gwei. Throws Error{chain} when what is asked for now is above the cap, and where
/// the chain has no base fee.
Fees fees_for(const std::optional<U256>& base, const std::optional<U256>& priority, const U256& cap);

/// A fifth more than the estimate, since the chain may have moved on when it is carried out; no more than
/// `block_limit`, which no block would hold. Throws Error{chain} for an estimate that no mint needs.
std::uint64_t gas_for(const U256& estimate, const U256& block_limit);

} // namespace blockhost::chain
