// SPDX-License-Identifier: MIT
// One mint, from the first request to its end in the ledger.
#include "chain/mint.hpp"

#include "chain/confirm.hpp"
#include "chain/evm/abi.hpp"
#include "chain/evm/keccak.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain {

namespace {

constexpr int most_rounds = 3;

/// One order while it is carried out.
class Minting {
  public:
    Minting(const MintTools& tools, const MintOrder& order)
        : tools_(tools), order_(order), patience_{order.confirmations, Deadline::in(order.patience)},
          identity_(identity_of(tools, order)), name_(identity_.name()), ledger_(tools.ledger),
          lock_(ledger_.take_identity(name_, patience_.deadline, [&] { tools.interruption.check(); })) {}

    void run(const std::function<void(const Minted&)>& hand_over);

  private:
    using Outcome = Confirmation::Outcome;
    bool tell_earlier(const std::function<void(const Minted&)>& hand_over) const;
    void fill_gaps_below(const MintEntry& entry) const;
    MintEntry sign() const;
    void send_first(const MintEntry& entry) const;
    U256 token_of(const Receipt& receipt) const;
    U256 token_by_supply(const Receipt& receipt) const;
    Error displaced(const MintEntry& entry) const;
    Error reverted(const MintEntry& entry, const Outcome& outcome) const;

    const MintTools& tools_;
    const MintOrder& order_;
    Patience patience_;
    MintIdentity identity_;
    std::string name_;
    Ledger ledger_;
    LedgerLock lock_;
};

void Minting::run(const std::function<void(const Minted&)>& hand_over) {
    std::optional<MintEntry> entry = ledger_.open_entry(name_);
    if (!entry && tell_earlier(hand_over)) return;
    Minted::How how = entry ? Minted::How::continued : Minted::How::now;
    if (entry) {
        tools_.progress.say(fmt::format("continuing transaction {} of {}", hex(entry->hash),
                                        format_instant(entry->signed_at)));
        fill_gaps_below(*entry);
    }
    for (int round = 1;; ++round) {
        if (!entry) entry = sign();
        const Outcome outcome = Confirmation(tools_.node, *entry, ledger_.open_path(name_), patience_,
                                             tools_.progress, tools_.interruption)
                                    .run();
        if (outcome.how == Outcome::How::succeeded) {
            const Receipt& receipt = outcome.receipt;
            const Minted minted{how, identity_, token_of(receipt), entry->hash, receipt.block};
            hand_over(minted);
            ledger_.close(*entry, MintedToken{entry->hash, minted.token, receipt.block});
            return;
        }
        const bool is_displaced = outcome.how == Outcome::How::displaced;
        const Error failed = is_displaced ? displaced(*entry) : reverted(*entry, outcome);
        const bool is_over = outcome.depth >= settled_depth;
        if (is_over) ledger_.close(*entry, {});
        const bool was_told = is_displaced || how == Minted::How::continued;
        if (round == most_rounds || !is_over || !was_told) throw failed;
        tools_.progress.warn(failed.message() + "; signing another");
        entry.reset();
        how = Minted::How::now;
    }
}

bool Minting::tell_earlier(const std::function<void(const Minted&)>& hand_over) const {
    if (order_.again != MintOrder::Again::same_answer) return false;
    const auto last = ledger_.last_token(name_);
    if (!last) return false;
    hand_over({Minted::How::earlier, identity_, last->token, last->hash, last->block});
    return true;
}

/// Only warns when the node refuses one: it may be on its way all the same, and so may `entry`.
void Minting::fill_gaps_below(const MintEntry& entry) const {
    try {
        Account(tools_.node, &ledger_, identity_.chain_id, entry.account).fill_gaps(entry.nonce, identity_);
    } catch (const Obstacle& obstacle) {
        tools_.progress.warn(obstacle.what());
    }
}

/// Chooses nonce and fees under the account's lock. The signed transaction is on disk, and sent, before
/// another process of this program may choose.
MintEntry Minting::sign() const {
    tools_.progress.stage("preparing the transaction");
    const Address address = tools_.key.account();
    const LedgerLock lock = ledger_.take_account(identity_.chain_id, address, patience_.deadline,
                                                 [&] { tools_.interruption.check(); });
    const Account account(tools_.node, &ledger_, identity_.chain_id, address);
    account.forget_settled();
    account.fill_gaps(account.free_nonce(), identity_);
    const MintPlan plan = plan_for(tools_.node, identity_, account, order_.fee_cap);
    const Transaction transaction = plan.transaction();
    const Signature signature = tools_.key.sign(transaction.signing_hash(), address);
    MintEntry entry{.identity = identity_,
                    .account = address,
                    .nonce = plan.nonce,
                    .most = plan.most,
                    .hash = {},
                    .raw = transaction.signed_bytes(signature),
                    .signed_at = now()};
    entry.hash = keccak256(entry.raw);
    ledger_.write(entry);
    tools_.progress.stage(fmt::format("sending transaction {} (nonce {})", hex(entry.hash), entry.nonce));
    send_first(entry);
    return entry;
}

/// Sends a transaction for the first time. Where the outcome is unclear, Confirmation finds out whether it
/// arrived. A refusal is final only here: nobody else has been given the transaction.
void Minting::send_first(const MintEntry& entry) const {
    try {
        send(tools_.node, entry);
    } catch (const Obstacle&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        tools_.progress.warn(error.message() + "; looking whether it has the transaction");
    }
}

U256 Minting::token_of(const Receipt& receipt) const {
    if (const auto token = minted_token(receipt, identity_.contract, identity_.recipient)) return *token;
    tools_.progress.warn(
        "the receipt shows no Transfer event of this mint; taking totalSupply() - 1 for the token's number");
    return token_by_supply(receipt);
}

/// Asks at the mint's own block, and takes only a token that the recipient owns.
U256 Minting::token_by_supply(const Receipt& receipt) const {
    const auto ask = [&](const Bytes& data) {
        return tools_.node.call({std::nullopt, identity_.contract, data}, at_block(receipt.block));
    };
    const Error unknown(Code::chain,
                        fmt::format("transaction {} is mined, but which token it made cannot be told",
                                    hex(receipt.transaction)),
                        "look at the transaction in a block explorer; calling again mints nothing");
    try {
        const auto supply = abi::number_in(ask(total_supply_call()));
        if (!supply || *supply == 0) throw unknown;
        U256 token = *supply - 1;
        if (abi::address_in(ask(owner_of_call(token))) != identity_.recipient) throw unknown;
        return token;
    } catch (const Refusal&) {
        throw unknown;
    }
}

Error Minting::displaced(const MintEntry& entry) const {
    return Error(Code::chain,
                 fmt::format("transaction {} cannot be mined any more: something else used nonce {} of {}",
                             hex(entry.hash), entry.nonce, entry.account.str()),
                 "let nothing else use the key, and call again: nothing was minted");
}

/// A revert is final only once its block is settled: in another block the transaction might succeed.
Error Minting::reverted(const MintEntry& entry, const Outcome& outcome) const {
    std::string reason = "for a reason that the node does not tell";
    try {
        tools_.node.call(call_of(identity_, entry.account), at_block(outcome.receipt.block));
    } catch (const Refusal& refusal) {
        reason = refusal.revert_reason().value_or(reason);
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
    }
    return Error(Code::chain,
                 fmt::format("the contract reverted transaction {}: {}", hex(entry.hash), reason),
                 outcome.depth >= settled_depth
                     ? "nothing was minted, though the fee is spent; the next call is a new mint"
                     : fmt::format("nothing was minted, though the fee is spent; once {} blocks are mined, a "
                                   "call is a new mint",
                                   settled_depth));
}

} // namespace

void mint(const MintTools& tools, const MintOrder& order,
          const std::function<void(const Minted&)>& hand_over) {
    Minting(tools, order).run(hand_over);
}

} // namespace blockhost::chain
