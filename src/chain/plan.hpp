// SPDX-License-Identifier: MIT
#pragma once
/// What a mint would send, from what its node and the ledger say.

#include "base/interrupt.hpp"
#include "base/progress.hpp"
#include "chain/account.hpp"
#include "chain/evm/key.hpp"
#include "chain/evm/node.hpp"
#include "chain/fees.hpp"
#include "chain/ledger.hpp"
#include "chain/mint_call.hpp"

namespace blockhost::chain {

struct MintOrder {
    Address contract;
    MintCall call;
    std::optional<std::uint64_t> chain_id; ///< the only chain allowed; nothing: any chain
    U256 fee_cap;                          ///< in wei per gas
    std::uint64_t confirmations = 1;
    std::chrono::seconds patience{600};
    /// What the same order means once it has been carried out.
    enum class Again { another_mint, same_answer } again = Again::another_mint;
};

/// What minting works with.
struct MintTools {
    Node& node;
    const KeyFile& key;
    StatePlace ledger; ///< the ledger's folder
    Progress& progress;
    const Interruption& interruption;
};

/// What would be signed. With `unfinished`, that mint is signed already and would be continued instead.
struct MintPlan {
    MintIdentity identity;
    Address account;
    std::uint64_t nonce = 0;
    U256 most;                           ///< what it can cost, in wei
    Fees fees = {};                      ///< not with unfinished
    std::uint64_t gas = 0;               ///< not with unfinished
    std::optional<MintEntry> unfinished; ///< account, nonce and most are its own then

    /// Not with unfinished.
    Transaction transaction() const;
};

/// What makes two orders the same. Throws Error{chain} when the node's chain is not the order's.
MintIdentity identity_of(const MintTools& tools, const MintOrder& order);
Node::ContractCall call_of(const MintIdentity& identity, const Address& account);

/// Checks all that can be known beforehand. Throws Error{chain} for a contract without code, a call that it
/// reverts, fees above the cap, an account that cannot pay for this mint and those under way.
MintPlan plan_for(Node& node, const MintIdentity& identity, const Account& account, const U256& fee_cap);

/// What `mint` would do. Signs, sends and writes nothing. Throws as identity_of and plan_for do, and
/// Error{config} for the key.
MintPlan plan_mint(const MintTools& tools, const MintOrder& order);

} // namespace blockhost::chain
