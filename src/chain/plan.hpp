#pragma once
/// What a mint would send, from what its node and the ledger say.

#include "base/interrupt.hpp"
#include "base/talk.hpp"
#include "chain/account.hpp"
#include "chain/fees.hpp"
#include "chain/key.hpp"
#include "chain/ledger.hpp"
#include "chain/mint_call.hpp"
#include "chain/node.hpp"

namespace blockhost::chain {

struct MintOrder {
    Address contract;
    MintCall call;
    std::optional<std::uint64_t> chain_id; ///< another chain than this one is refused; nothing: any will do
    U256 fee_cap;                          ///< in wei per gas
    std::uint64_t confirmations = 1;
    std::chrono::seconds patience{600};
    /// What the same order means after it was carried out.
    enum class Again { another_mint, same_answer } again = Again::another_mint;
};

/// What minting works with.
struct MintTools {
    Node& node;
    const KeyFile& key;
    std::filesystem::path ledger; ///< its folder
    Talk& talk;
    const Interruption& interruption;
};

/// What would be signed, or `unfinished`, which is signed already and would be continued instead.
struct MintPlan {
    MintIdentity identity;
    Address account;
    std::uint64_t nonce = 0;
    U256 most;                           ///< what it can cost, in wei
    Fees fees = {};                      ///< but of unfinished
    std::uint64_t gas = 0;               ///< but of unfinished
    std::optional<MintEntry> unfinished; ///< whose account, nonce and most these are

    /// But of unfinished.
    Transaction transaction() const;
};

/// What makes the order the same as another. Throws Error{chain} for another chain than the order's.
MintIdentity identity_of(const MintTools& tools, const MintOrder& order);
Node::ContractCall call_of(const MintIdentity& identity, const Address& account);

/// Looks at everything that can be known beforehand. Throws Error{chain} for a contract without code, a call
/// that the contract reverts, fees above the cap, an account that cannot pay this and what it has under way.
MintPlan plan_for(Node& node, const MintIdentity& identity, const Account& account, const U256& fee_cap);

/// What `mint` would do; signs, sends and writes nothing. Throws as identity_of and plan_for, and
/// Error{config} for the key.
MintPlan plan_mint(const MintTools& tools, const MintOrder& order);

} // namespace blockhost::chain
