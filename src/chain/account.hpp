// SPDX-License-Identifier: MIT
#pragma once
/// An account that this program signs for, as its node and the ledger know it. Nonces are chosen here alone.

#include "chain/evm/node.hpp"
#include "chain/ledger.hpp"

namespace blockhost::chain {

class Account {
  public:
    /// Asks node and ledger once each. `ledger` is null where none has been made; it and `node` outlive this.
    Account(Node& node, const Ledger* ledger, std::uint64_t chain_id, const Address& address);

    const Address& address() const { return address_; }
    /// The first nonce that no transaction has: neither one that is mined or waits at the node, nor one that
    /// this program has signed, whatever the node says of it.
    std::uint64_t free_nonce() const;
    /// The most that signed transactions may cost that are not mined yet, in wei.
    U256 reserved() const;

    /// Hands each signed transaction with a nonce below `below` to the node, by rising nonce, if it is
    /// neither mined nor known to the node: a transaction behind a gap would wait forever. Such are those
    /// that dead processes never sent, and those mined in a block that the chain took back. The open entry of
    /// `own` is left alone, and so are those whose identity a living process holds. Throws Obstacle, with the
    /// way out, when the node refuses.
    void fill_gaps(std::uint64_t below, const MintIdentity& own) const;
    /// Removes closed entries whose nonce was used so deep that the chain cannot take it back.
    void forget_settled() const;

  private:
    bool is_unmined(const KeptMint& mint) const { return mint.entry.nonce >= next_; }
    void fill_gap(const KeptMint& mint) const;

    Node& node_;
    const Ledger* ledger_;
    Address address_;
    std::vector<KeptMint> signed_;
    std::uint64_t next_ = 0; ///< the account's nonce at the latest block; asked only if something is signed
};

} // namespace blockhost::chain
