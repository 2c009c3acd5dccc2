// SPDX-License-Identifier: MIT
// 0x02 || rlp([chain id, nonce, priority fee, max fee, gas, to, value, data, access list, y, r, s])
#include "chain/evm/transaction.hpp"

#include "chain/evm/keccak.hpp"
#include "chain/evm/rlp.hpp"

namespace blockhost::chain {

namespace {

std::vector<Bytes> items_of(const Transaction& transaction) {
    return {rlp::number(transaction.chain_id),
            rlp::number(transaction.nonce),
            rlp::number(transaction.priority_fee),
            rlp::number(transaction.max_fee),
            rlp::number(transaction.gas),
            rlp::text(transaction.to.bytes()),
            rlp::number(0),
            rlp::text(transaction.data),
            rlp::list({})};
}

Bytes typed(const std::vector<Bytes>& items) {
    constexpr std::uint8_t type = 2;
    Bytes bytes = rlp::list(items);
    bytes.insert(bytes.begin(), type);
    return bytes;
}

} // namespace

Hash Transaction::signing_hash() const {
    return keccak256(typed(items_of(*this)));
}

Bytes Transaction::signed_bytes(const Signature& signature) const {
    std::vector<Bytes> items = items_of(*this);
    items.push_back(rlp::number(signature.y_is_odd ? 1 : 0));
    items.push_back(rlp::number(from_word(signature.r)));
    items.push_back(rlp::number(from_word(signature.s)));
    return typed(items);
}

} // namespace blockhost::chain
