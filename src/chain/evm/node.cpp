// SPDX-License-Identifier: MIT
// Requests by method, and the words of refusals.
#include "chain/evm/node.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::chain {

namespace bj = boost::json;

namespace {

bj::object object_of(const Node::ContractCall& call) {
    bj::object object{{"to", hex(call.to.bytes())}, {"data", hex(call.data)}};
    if (call.from) object["from"] = hex(call.from->bytes());
    return object;
}

} // namespace

BlockTag at_block(std::uint64_t number) {
    return quantity(number);
}

bj::value Node::ask(std::string_view method, bj::array parameters) {
    constexpr int most_attempts = 5;
    std::chrono::milliseconds pause(500);
    for (int attempt = 1;; ++attempt, pause *= 2) {
        const std::int64_t id = ++last_id_;
        const std::string body = bj::serialize(
            bj::object{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", parameters}});
        try {
            return result_in(line_.post(body), id, line_.name);
        } catch (const Refusal& refusal) {
            if (!refusal.is_rate_limit() || attempt == most_attempts) throw;
        }
        line_.pause(pause);
    }
}

std::uint64_t Node::chain_id() {
    return u64_in(ask("eth_chainId", {}), "the chain id");
}

std::uint64_t Node::block_number() {
    return u64_in(ask("eth_blockNumber", {}), "the block number");
}

std::uint64_t Node::nonce(const Address& account, const BlockTag& at) {
    return u64_in(ask("eth_getTransactionCount", {hex(account.bytes()), at}), "the nonce");
}

U256 Node::balance(const Address& account) {
    return quantity_in(ask("eth_getBalance", {hex(account.bytes()), "latest"}), "the balance");
}

bool Node::has_code(const Address& contract) {
    return !bytes_in(ask("eth_getCode", {hex(contract.bytes()), "latest"}), "the contract's code").empty();
}

std::optional<Block> Node::block(const BlockTag& at) {
    return block_in(ask("eth_getBlockByNumber", {at, false}));
}

std::optional<U256> Node::priority_fee() {
    try {
        return quantity_in(ask("eth_maxPriorityFeePerGas", {}), "the priority fee");
    } catch (const Refusal&) {
        return std::nullopt;
    }
}

Bytes Node::call(const ContractCall& call, const BlockTag& at) {
    return bytes_in(ask("eth_call", {object_of(call), at}), "what the contract answers");
}

U256 Node::estimate_gas(const ContractCall& call) {
    return quantity_in(ask("eth_estimateGas", {object_of(call)}), "the gas estimate");
}

void Node::send(const Bytes& signed_transaction) {
    ask("eth_sendRawTransaction", {hex(signed_transaction)});
}

std::optional<Receipt> Node::receipt(const Hash& transaction) {
    auto found = receipt_in(ask("eth_getTransactionReceipt", {hex(transaction)}));
    if (found && found->transaction != transaction)
        throw Error(Code::chain, line_.name + " answers with another transaction's receipt",
                    "use another node");
    return found;
}

bool Node::knows(const Hash& transaction) {
    return !ask("eth_getTransactionByHash", {hex(transaction)}).is_null();
}

SendRefusal meaning_of(const Refusal& refusal) {
    const std::string words = text::lower(refusal.words());
    const auto says = [&](std::initializer_list<std::string_view> any) {
        return std::ranges::any_of(any, [&](std::string_view one) { return words.find(one) != words.npos; });
    };
    if (says({"already known", "known transaction", "already imported", "alreadyknown"}))
        return SendRefusal::known;
    if (says({"nonce too low", "nonce is too low", "oldnonce", "invalid nonce"}))
        return SendRefusal::nonce_used;
    if (says({"replacement"})) return SendRefusal::outbid;
    if (says({"insufficient funds", "insufficient balance", "insufficientfunds"}))
        return SendRefusal::no_funds;
    if (says({"underpriced", "less than block base fee", "fee cap", "feetoolow", "fee too low"}))
        return SendRefusal::underpriced;
    return SendRefusal::other;
}

} // namespace blockhost::chain
