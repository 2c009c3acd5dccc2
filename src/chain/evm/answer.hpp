// SPDX-License-Identifier: MIT
#pragma once
/// What a node answers (JSON-RPC 2.0; Ethereum's "execution-apis"). It is outside text: anything unexpected
/// is Error{chain}.

#include "base/error.hpp"
#include "chain/evm/address.hpp"
#include "chain/evm/bytes.hpp"

#include <boost/json/value.hpp>

namespace blockhost::chain {

/// The node answered a request with an error of its own.
class Refusal : public Error {
  public:
    /// `data`: what a reverted call returned, if the node tells it.
    Refusal(std::string node, std::int64_t number, std::string words, std::optional<Bytes> data);
    std::int64_t number() const { return number_; }
    /// The node's own words, printable.
    const std::string& words() const { return words_; }
    /// Why the contract reverted, in words; nothing for any other error.
    std::optional<std::string> revert_reason() const;
    /// The node had too many requests, and may answer the same one later.
    bool is_rate_limit() const;

  private:
    std::int64_t number_;
    std::string words_;
    std::optional<Bytes> data_;
};

/// The result in the answer to request `id`. Messages call the node `node`. Throws Refusal, also for an error
/// that names no request: it is taken for this one's (JSON-RPC 2.0, "Response object").
boost::json::value result_in(std::string_view text, std::int64_t id, const std::string& node);
/// Whether the text is an answer with an error.
bool is_refusal(std::string_view text);

/// Fields of results; messages call the field `what` ("the nonce").
U256 quantity_in(const boost::json::value& value, std::string_view what);
std::uint64_t u64_in(const boost::json::value& value, std::string_view what);
Bytes bytes_in(const boost::json::value& value, std::string_view what);
Hash hash_in(const boost::json::value& value, std::string_view what);

struct Log {
    Address contract;
    std::vector<Hash> topics;
};

struct Receipt {
    Hash transaction{};
    bool succeeded = false;
    std::uint64_t block = 0;
    Hash block_hash{};
    std::vector<Log> logs;
};
/// Nothing for null: the transaction is not mined.
std::optional<Receipt> receipt_in(const boost::json::value& value);

struct Block {
    std::uint64_t number = 0;
    Hash hash{};
    std::vector<Hash> transactions; ///< the hashes of all of its transactions
    U256 gas_limit;
    std::optional<U256> base_fee; ///< in wei per gas; nothing where the chain has none (before EIP-1559)
};
/// Reads a block that was asked for with its transactions' hashes. Nothing for null: there is no such block.
std::optional<Block> block_in(const boost::json::value& value);

} // namespace blockhost::chain
