// SPDX-License-Identifier: MIT
#pragma once
/// What a transaction offers for its gas (EIP-1559).

#include "chain/evm/bytes.hpp"

namespace blockhost::chain {

inline constexpr std::uint64_t wei_a_gwei = 1'000'000'000;

/// In wei per gas.
struct Fees {
    U256 priority, max;
};

/// Fees that last until the base fee has doubled, but never above `cap`. `base` is the latest block's,
/// `priority` what the node advises; nothing stands for 1 gwei. Throws Error{chain} when the chain asks for
/// more than the cap now, and where it has no base fee.
Fees fees_for(const std::optional<U256>& base, const std::optional<U256>& priority, const U256& cap);

/// The estimate and a fifth, since the chain may have moved on by then; at most `block_limit`, since no block
/// holds more. Throws Error{chain} for an estimate that no mint needs.
std::uint64_t gas_for(const U256& estimate, const U256& block_limit);

} // namespace blockhost::chain
