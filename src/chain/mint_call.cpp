// SPDX-License-Identifier: MIT
// Calls of an ERC-721 contract, and its event.
#include "chain/mint_call.hpp"

#include "chain/evm/abi.hpp"
#include "chain/evm/answer.hpp"
#include "chain/evm/keccak.hpp"

namespace blockhost::chain {

MintCall MintCall::current(const Address& recipient, const Bytes& user_encrypted) {
    constexpr std::string_view signature = "mint(address,bytes)";
    return {signature, recipient, abi::call(signature, {recipient, user_encrypted})};
}

MintCall MintCall::legacy(const Address& recipient, const Bytes& user_encrypted,
                          const std::string& public_secret) {
    constexpr std::string_view signature = "mint(address,bytes,string,string,string,string,uint256)";
    const std::string nothing, decrypt_message = "IYKYK";
    return {signature, recipient,
            abi::call(signature, {recipient, user_encrypted, public_secret, decrypt_message, nothing, nothing,
                                  U256(0)})};
}

Bytes total_supply_call() {
    return abi::call("totalSupply()", {});
}

Bytes owner_of_call(const U256& token) {
    return abi::call("ownerOf(uint256)", {token});
}

std::optional<U256> minted_token(const Receipt& receipt, const Address& contract, const Address& recipient) {
    static const Hash transfer = keccak256("Transfer(address,address,uint256)");
    for (const Log& log : receipt.logs) {
        if (log.contract != contract || log.topics.size() != 4 || log.topics[0] != transfer) continue;
        const auto from = abi::address_in(log.topics[1]), to = abi::address_in(log.topics[2]);
        if (from && from->is_zero() && to == recipient) return from_word(log.topics[3]);
    }
    return std::nullopt;
}

} // namespace blockhost::chain
