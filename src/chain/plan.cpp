// SPDX-License-Identifier: MIT
// Everything that is checked before the key signs.
#include "chain/plan.hpp"

#include <fmt/format.h>

namespace blockhost::chain {

namespace {

std::uint64_t gas_of(Node& node, const Node::ContractCall& call, const Block& latest) {
    try {
        return gas_for(node.estimate_gas(call), latest.gas_limit);
    } catch (const Refusal& refusal) {
        const auto reason = refusal.revert_reason();
        if (!reason) throw;
        throw Error(Code::chain, "the contract refuses the mint: " + *reason,
                    fmt::format("look whether {} may mint there", call.from->str()));
    }
}

void check_funds(Node& node, const MintPlan& plan, const U256& reserved) {
    const U256 has = node.balance(plan.account);
    if (has >= bounded_sum(plan.most, reserved)) return;
    const std::string besides =
        reserved == 0 ? "" : fmt::format(", besides {} for mints that are under way", ether(reserved));
    throw Error(Code::chain,
                fmt::format("{} has {}, and the mint may cost up to {}{}", plan.account.str(), ether(has),
                            ether(plan.most), besides),
                reserved == 0 ? "send it some, and call again"
                              : "send it some, or wait until those are mined, and call again");
}

Block latest_block(Node& node) {
    auto block = node.block("latest");
    if (!block) throw Error(Code::chain, node.name() + " has no block yet", "call again when it has");
    return std::move(*block);
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

MintPlan plan_for(Node& node, const MintIdentity& identity, const Account& account, const U256& fee_cap) {
    if (!node.has_code(identity.contract))
        throw Error(
            Code::chain,
            fmt::format("there is no contract at {} on chain {}", identity.contract.str(), identity.chain_id),
            "correct blockchain.nft_contract in web3-defaults.yaml");
    const Block latest = latest_block(node);
    MintPlan plan{.identity = identity, .account = account.address(), .most = {}, .unfinished = {}};
    plan.gas = gas_of(node, call_of(identity, plan.account), latest);
    plan.fees = fees_for(latest.base_fee, node.priority_fee(), fee_cap);
    plan.nonce = account.free_nonce();
    plan.most = plan.transaction().most();
    check_funds(node, plan, account.reserved());
    return plan;
}

MintPlan plan_mint(const MintTools& tools, const MintOrder& order) {
    const MintIdentity identity = identity_of(tools, order);
    const auto ledger = Ledger::existing(tools.ledger);
    if (auto entry = ledger ? ledger->open_entry(identity.name()) : std::nullopt) {
        MintPlan plan{.identity = identity,
                      .account = entry->account,
                      .nonce = entry->nonce,
                      .most = entry->most,
                      .unfinished = {}};
        plan.unfinished = std::move(entry);
        return plan;
    }
    const Account account(tools.node, ledger ? &*ledger : nullptr, identity.chain_id, tools.key.account());
    return plan_for(tools.node, identity, account, order.fee_cap);
}

} // namespace blockhost::chain
