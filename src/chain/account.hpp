#pragma once
/// An account of ours as its node and the ledger know it together: the one place where nonces are chosen.

#include "chain/ledger.hpp"
#include "chain/node.hpp"

namespace blockhost::chain {

class Account {
  public:
    /// Asks both once. `ledger`: null where none has been made; else, as `node`, it outlives this.
    Account(Node& node, const Ledger* ledger, std::uint64_t chain_id, const Address& address);

    const Address& address() const { return address_; }
    /// The first nonce that is nobody's: of no transaction that is mined or waits at the node, and of none
    /// that we have signed, whatever the node says of those.
    std::uint64_t free_nonce() const;
    /// The most that what we have signed may cost as long as it is not mined, in wei.
    U256 reserved() const;

    /// Hands to the node what was signed with a nonce below `below` and is neither mined nor known to it, by
    /// rising nonce: what stands behind a gap would wait forever. That is what dead processes never sent, and
    /// what was mined in a block that the chain took back; what living processes have signed, whose identity
    /// is held, is left to them, and so is what `own` has open. Throws Obstacle, with the way out, when
    /// the node refuses.
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
    std::uint64_t next_ = 0; ///< the nonce behind the latest block; asked where something is signed
};

} // namespace blockhost::chain
