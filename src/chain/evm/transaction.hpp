// SPDX-License-Identifier: MIT
#pragma once
/// Transactions of type 2 (EIP-1559), without value and access list.

#include "chain/evm/address.hpp"
#include "chain/evm/bytes.hpp"

namespace blockhost::chain {

/// An ECDSA signature over secp256k1. `s` is in the lower half (EIP-2).
struct Signature {
    Hash r{}, s{};
    bool y_is_odd = false;
};

struct Transaction {
    std::uint64_t chain_id = 0;
    std::uint64_t nonce = 0;
    U256 priority_fee; ///< most wei per gas for the block's maker
    U256 max_fee;      ///< most wei per gas in all
    std::uint64_t gas = 0;
    Address to;
    Bytes data;

    /// The most that the transaction can cost, in wei.
    U256 most() const { return max_fee * gas; }
    /// The hash that is signed.
    Hash signing_hash() const;
    /// The bytes that are sent; their Keccak-256 is the transaction's hash.
    Bytes signed_bytes(const Signature& signature) const;
};

} // namespace blockhost::chain
