// SPDX-License-Identifier: MIT
#pragma once
/// An EVM node, asked over JSON-RPC (Ethereum's "execution-apis").

#include "chain/evm/answer.hpp"

#include <boost/json/array.hpp>
#include <chrono>
#include <functional>

namespace blockhost::chain {

/// "latest", "pending", or a number as `at_block` spells it.
using BlockTag = std::string;
BlockTag at_block(std::uint64_t number);

/// A block this deep is final for every decision here, and every node has it.
inline constexpr std::uint64_t settled_depth = 12;

/// Each call asks once; only a refusal for a rate limit is waited out and asked again. Throws Refusal,
/// Error{chain} for answers that make no sense, and what the line throws.
class Node {
  public:
    /// How requests are made.
    struct Line {
        std::string name; ///< what messages call the node; no secret
        std::function<std::string(const std::string& body)> post;
        std::function<void(std::chrono::milliseconds)> pause; ///< may throw
    };
    explicit Node(Line line) : line_(std::move(line)) {}

    const std::string& name() const { return line_.name; }

    std::uint64_t chain_id();
    std::uint64_t block_number();
    /// How many transactions the account has made: the nonce of its next one.
    std::uint64_t nonce(const Address& account, const BlockTag& at);
    U256 balance(const Address& account); ///< in wei
    bool has_code(const Address& contract);
    /// Nothing when the node has no such block.
    std::optional<Block> block(const BlockTag& at);
    /// What is offered to block makers besides the base fee; nothing where the node advises nothing.
    std::optional<U256> priority_fee();

    struct ContractCall {
        std::optional<Address> from;
        Address to;
        Bytes data;
    };
    Bytes call(const ContractCall& call, const BlockTag& at);
    U256 estimate_gas(const ContractCall& call);

    /// Success proves only that this node has read the transaction.
    void send(const Bytes& signed_transaction);
    std::optional<Receipt> receipt(const Hash& transaction);
    /// Whether the node knows it, mined or waiting.
    bool knows(const Hash& transaction);

  private:
    boost::json::value ask(std::string_view method, boost::json::array parameters);

    Line line_;
    std::int64_t last_id_ = 0;
};

/// What a refusal to take a transaction means. Each node uses its own words.
enum class SendRefusal {
    known,       ///< it has that very transaction
    nonce_used,  ///< the account's transaction of that nonce is mined
    outbid,      ///< another transaction of that nonce is waiting and pays as much
    underpriced, ///< the fee is too low
    no_funds,    ///< the account cannot pay
    other
};
SendRefusal meaning_of(const Refusal& refusal);

} // namespace blockhost::chain
