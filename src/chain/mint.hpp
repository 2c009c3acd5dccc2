#pragma once
/// Minting: a write to a chain that happens once.

#include "base/interrupt.hpp"
#include "base/talk.hpp"
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

/// What would be sent.
struct MintPlan {
    MintIdentity identity;
    Address account;
    std::uint64_t nonce = 0;
    Fees fees;
    std::uint64_t gas = 0;
    std::optional<MintEntry> unfinished; ///< what would be continued instead

    Transaction transaction() const;
};

struct Minted {
    enum class How {
        now,       ///< sent by this call
        continued, ///< an interrupted call had signed it
        earlier    ///< an earlier call had come to its end
    } how = How::now;
    MintIdentity identity;
    U256 token;
    Hash transaction{};
    std::uint64_t block = 0;
};

/// What minting works with.
struct MintTools {
    Node& node;
    const KeyFile& key;
    std::filesystem::path ledger; ///< its folder
    Talk& talk;
    const Interruption& interruption;
};

/// Looks at everything that can be known beforehand; signs, sends and writes nothing. Throws Error{chain} for
/// another chain, a contract without code, a call that the contract reverts, fees above the cap, an account
/// that cannot pay; Error{config} for the key.
MintPlan plan_mint(const MintTools& tools, const MintOrder& order);

/// Mints, or continues what an interrupted call of the same order began, and calls `hand_over` with the
/// result. Only when that returns, the mint is history; until then the same order continues it. Of several
/// calls for the same order at once each mints, one after another. Throws as plan_mint and Pursuit do, and
/// Error{chain} when the contract reverted, or what was minted cannot be told.
void mint(const MintTools& tools, const MintOrder& order,
          const std::function<void(const Minted&)>& hand_over);

} // namespace blockhost::chain
