// One mint, from the first question to its last line in the ledger.
#include "chain/mint.hpp"

#include "chain/abi.hpp"
#include "chain/keccak.hpp"
#include "chain/pursuit.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::chain {

namespace {

constexpr int most_rounds = 3;

MintIdentity identity_of(const MintTools& tools, const MintOrder& order) {
    const std::uint64_t chain_id = tools.node.chain_id();
    if (order.chain_id && *order.chain_id != chain_id)
        throw Error(Code::chain,
                    fmt::format("{} is on chain {}, not on {} as configured", tools.node.name(), chain_id,
                                *order.chain_id),
                    "correct blockchain.rpc_url or blockchain.chain_id in web3-defaults.yaml");
    return {chain_id, order.contract, order.call.recipient, order.call.data};
}

Node::ContractCall call_of(const MintIdentity& identity, const Address& account) {
    return {account, identity.contract, identity.data};
}

std::uint64_t gas_of(Node& node, const MintIdentity& identity, const Address& account) {
    try {
        return gas_for(node.estimate_gas(call_of(identity, account)));
    } catch (const Refusal& refusal) {
        const auto reason = refusal.revert_reason();
        if (!reason) throw;
        throw Error(Code::chain, "the contract refuses the mint: " + *reason,
                    fmt::format("look whether {} may mint there", account.str()));
    }
}

void check_funds(Node& node, const MintPlan& plan) {
    const U256 has = node.balance(plan.account), needs = plan.transaction().most();
    if (has >= needs) return;
    throw Error(Code::chain,
                fmt::format("{} has {}, and the mint may cost up to {}", plan.account.str(), ether(has),
                            ether(needs)),
                "send it some, and call again");
}

/// All of a plan but its nonce.
MintPlan plan_without_nonce(const MintTools& tools, const MintOrder& order, const MintIdentity& identity) {
    Node& node = tools.node;
    if (!node.has_code(identity.contract))
        throw Error(
            Code::chain,
            fmt::format("there is no contract at {} on chain {}", identity.contract.str(), identity.chain_id),
            "correct blockchain.nft_contract in web3-defaults.yaml");
    MintPlan plan{.identity = identity,
                  .account = tools.key.account(),
                  .nonce = 0,
                  .fees = {},
                  .gas = 0,
                  .unfinished = {}};
    plan.gas = gas_of(node, identity, plan.account);
    plan.fees = fees_for(node.base_fee(), node.priority_fee(), order.fee_cap);
    check_funds(node, plan);
    return plan;
}

/// The first nonce that neither the chain, nor what waits at the node, nor a signed mint of ours has.
std::uint64_t free_nonce(Node& node, const Address& account, const std::vector<MintEntry>& open) {
    std::uint64_t nonce = node.nonce(account, "pending");
    const auto is_taken = [&] { return std::ranges::find(open, nonce, &MintEntry::nonce) != open.end(); };
    while (is_taken()) ++nonce;
    return nonce;
}

/// One order on its way.
class Minting {
  public:
    Minting(const MintTools& tools, const MintOrder& order)
        : tools_(tools), order_(order), patience_{order.confirmations, Deadline::in(order.patience)},
          identity_(identity_of(tools, order)), name_(identity_.name()), ledger_(tools.ledger),
          lock_(ledger_.take_identity(name_, patience_.deadline, [&] { tools.interruption.check(); })) {}

    void run(const std::function<void(const Minted&)>& hand_over);

  private:
    bool tell_earlier(const std::function<void(const Minted&)>& hand_over) const;
    MintEntry sign() const;
    void send_first(const MintEntry& entry) const;
    void send_others(const std::vector<MintEntry>& open) const;
    U256 token_of(const Receipt& receipt) const;
    U256 token_by_supply(const Receipt& receipt) const;
    Error end_displaced(const MintEntry& entry) const;
    Error end_reverted(const MintEntry& entry, const Pursuit::Mined& mined) const;

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
        tools_.talk.stage(fmt::format("continuing transaction {} of {}", hex(entry->hash),
                                      format_instant(entry->signed_at)));
        std::vector<MintEntry> before = ledger_.open_of(identity_.chain_id, entry->account);
        std::erase_if(before, [&](const MintEntry& other) { return other.nonce >= entry->nonce; });
        send_others(before);
    }
    for (int round = 1;; ++round) {
        if (!entry) entry = sign();
        const auto mined = Pursuit(tools_.node, *entry, patience_, tools_.talk, tools_.interruption).run();
        if (mined && mined->receipt.succeeded) {
            const Receipt& receipt = mined->receipt;
            const Minted minted{how, identity_, token_of(receipt), entry->hash, receipt.block};
            hand_over(minted);
            ledger_.close(name_, {MintEnd::How::minted, entry->hash, minted.token, receipt.block});
            return;
        }
        const Error failed = mined ? end_reverted(*entry, *mined) : end_displaced(*entry);
        const bool is_over = !mined || mined->depth >= settled_depth;
        const bool was_told = !mined || how == Minted::How::continued;
        if (round == most_rounds || !is_over || !was_told) throw failed;
        tools_.talk.warn(failed.message() + "; signing another");
        entry.reset();
        how = Minted::How::now;
    }
}

bool Minting::tell_earlier(const std::function<void(const Minted&)>& hand_over) const {
    if (order_.again != MintOrder::Again::same_answer) return false;
    const auto end = ledger_.last_end(name_);
    if (!end || end->how != MintEnd::How::minted) return false;
    hand_over({Minted::How::earlier, identity_, end->token, end->hash, end->block});
    return true;
}

/// Chooses a nonce that no other process of ours can choose, and has the signed transaction on disk, and
/// sent, before anybody else may choose.
MintEntry Minting::sign() const {
    tools_.talk.stage("preparing the transaction");
    MintPlan plan = plan_without_nonce(tools_, order_, identity_);
    const LedgerLock lock = ledger_.take_account(identity_.chain_id, plan.account, patience_.deadline,
                                                 [&] { tools_.interruption.check(); });
    const std::vector<MintEntry> open = ledger_.open_of(identity_.chain_id, plan.account);
    send_others(open);
    plan.nonce = free_nonce(tools_.node, plan.account, open);
    const Transaction transaction = plan.transaction();
    const Signature signature = tools_.key.sign(transaction.signing_hash(), plan.account);
    MintEntry entry{.identity = identity_,
                    .account = plan.account,
                    .nonce = plan.nonce,
                    .most = transaction.most(),
                    .hash = {},
                    .raw = transaction.signed_bytes(signature),
                    .signed_at = now()};
    entry.hash = keccak256(entry.raw);
    ledger_.write(entry);
    tools_.talk.stage(fmt::format("sending transaction {} (nonce {})", hex(entry.hash), entry.nonce));
    send_first(entry);
    return entry;
}

/// Whether it arrived, where that is not told, the pursuit finds out.
void Minting::send_first(const MintEntry& entry) const {
    try {
        send(tools_.node, entry);
    } catch (const SendRefused&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        tools_.talk.warn(error.message() + "; looking whether it has the transaction");
    }
}

/// A nonce above one that a dead process signed and never sent would wait for it forever. Those of living
/// processes, whose identity is held, are left to them.
void Minting::send_others(const std::vector<MintEntry>& open) const {
    if (open.empty()) return;
    const std::uint64_t next = tools_.node.nonce(open.front().account, "latest");
    for (const MintEntry& other : open) {
        if (other.nonce < next || other.identity == identity_) continue;
        const auto held = ledger_.try_identity(other.identity.name());
        if (!held) continue;
        try {
            if (!tools_.node.knows(other.hash)) send(tools_.node, other);
        } catch (const SendRefused& refused) {
            throw Error(Code::chain,
                        fmt::format("an unfinished mint of {} is in the way (nonce {}): {}",
                                    other.account.str(), other.nonce, refused.message()),
                        refused.hint());
        }
    }
}

U256 Minting::token_of(const Receipt& receipt) const {
    if (const auto token = minted_token(receipt, identity_.contract, identity_.recipient)) return *token;
    tools_.talk.warn(
        "the receipt shows no Transfer event of this mint; taking totalSupply() - 1 for the token's number");
    return token_by_supply(receipt);
}

/// As of the mint's own block, and only a token that is the recipient's.
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
        const U256 token = *supply - 1;
        if (abi::address_in(ask(owner_of_call(token))) != identity_.recipient) throw unknown;
        return token;
    } catch (const Refusal&) {
        throw unknown;
    }
}

/// One that cannot be mined any more.
Error Minting::end_displaced(const MintEntry& entry) const {
    ledger_.close(name_, {MintEnd::How::displaced, entry.hash, 0, 0});
    return Error(Code::chain,
                 fmt::format("transaction {} cannot be mined any more: something else used nonce {} of {}",
                             hex(entry.hash), entry.nonce, entry.account.str()),
                 "let nothing else use the key, and call again: nothing was minted");
}

/// Stays open until its block is settled: in another block it might succeed.
Error Minting::end_reverted(const MintEntry& entry, const Pursuit::Mined& mined) const {
    const Receipt& receipt = mined.receipt;
    std::string reason = "for a reason that the node does not tell";
    try {
        tools_.node.call(call_of(identity_, entry.account), at_block(receipt.block));
    } catch (const Refusal& refusal) {
        reason = refusal.revert_reason().value_or(reason);
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
    }
    const bool is_over = mined.depth >= settled_depth;
    if (is_over) ledger_.close(name_, {MintEnd::How::reverted, entry.hash, 0, receipt.block});
    return Error(
        Code::chain, fmt::format("the contract reverted transaction {}: {}", hex(entry.hash), reason),
        is_over ? "nothing was minted, though the fee is spent; the next call is a new mint"
                : fmt::format("nothing was minted, though the fee is spent; once {} blocks are mined, a "
                              "call is a new mint",
                              settled_depth));
}

} // namespace

Transaction MintPlan::transaction() const {
    return {.chain_id = identity.chain_id,
            .nonce = nonce,
            .priority_fee = fees.priority,
            .max_fee = fees.max,
            .gas = gas,
            .to = identity.contract,
            .data = identity.data};
}

MintPlan plan_mint(const MintTools& tools, const MintOrder& order) {
    const MintIdentity identity = identity_of(tools, order);
    const auto ledger = Ledger::existing(tools.ledger);
    MintPlan plan = plan_without_nonce(tools, order, identity);
    const auto open = ledger ? ledger->open_of(identity.chain_id, plan.account) : std::vector<MintEntry>{};
    plan.nonce = free_nonce(tools.node, plan.account, open);
    if (ledger) plan.unfinished = ledger->open_entry(identity.name());
    return plan;
}

void mint(const MintTools& tools, const MintOrder& order,
          const std::function<void(const Minted&)>& hand_over) {
    Minting(tools, order).run(hand_over);
}

} // namespace blockhost::chain
