// SPDX-License-Identifier: MIT
// Computes fees; compares what a node says before adding to it.
#include "chain/fees.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain {

namespace {

constexpr std::uint64_t most_gas = 30'000'000; ///< the gas limit of Ethereum's blocks for years

} // namespace

Fees fees_for(const std::optional<U256>& base, const std::optional<U256>& priority, const U256& cap) {
    if (!base)
        throw Error(Code::chain,
                    "this chain has no base fee (EIP-1559), which mint-nft builds its transactions on");
    const U256 tip = priority.value_or(U256(wei_a_gwei));
    const U256 larger = std::max(*base, tip);
    if (larger > cap || *base + tip > cap)
        throw Error(Code::chain,
                    fmt::format("the chain asks for {} and {} per gas, which is above the cap of {}",
                                gwei(*base), gwei(tip), gwei(cap)),
                    "call again when fees are lower, or raise --max-fee");
    return {tip, std::min<U256>(*base * 2 + tip, cap)};
}

std::uint64_t gas_for(const U256& estimate, const U256& block_limit) {
    const U256 most = std::min<U256>(most_gas, block_limit);
    if (estimate == 0 || estimate > most)
        throw Error(
            Code::chain,
            fmt::format("the node estimates {} gas for the mint, which cannot be right", estimate.str()),
            "check blockchain.nft_contract in web3-defaults.yaml, or use another node");
    return static_cast<std::uint64_t>(std::min<U256>(estimate + estimate / 5, block_limit));
}

} // namespace blockhost::chain
