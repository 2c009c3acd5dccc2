// SPDX-License-Identifier: MIT
#pragma once
/// The two mint functions of BlockHost's access NFT (docs/contract.md, "mint-nft").

#include "chain/evm/address.hpp"
#include "chain/evm/bytes.hpp"

namespace blockhost::chain {

struct MintCall {
    std::string_view signature; ///< of the contract's function
    Address recipient;
    Bytes data; ///< of the call

    /// mint(to, userEncrypted)
    static MintCall current(const Address& recipient, const Bytes& user_encrypted);
    /// mint(to, userEncrypted, publicSecret, "IYKYK", "", "", 0)
    static MintCall legacy(const Address& recipient, const Bytes& user_encrypted,
                           const std::string& public_secret);
};

/// Calls of ERC-721.
Bytes total_supply_call();
Bytes owner_of_call(const U256& token);

struct Receipt;
/// The first token that `contract` made for `recipient`, by its Transfer events in the receipt.
std::optional<U256> minted_token(const Receipt& receipt, const Address& contract, const Address& recipient);

} // namespace blockhost::chain
