// SPDX-License-Identifier: MIT
// Reads the text of a node's answer.
#include "chain/evm/answer.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "chain/evm/abi.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

namespace blockhost::chain {

namespace bj = boost::json;

namespace {

constexpr std::size_t longest_quoted = 60, longest_words = 300;
constexpr std::size_t most_topics = 4;

Error nonsense(std::string message) {
    return Error(Code::chain, std::move(message),
                 "check blockchain.rpc_url in web3-defaults.yaml, or use another node");
}

Error odd_field(std::string_view what) {
    return nonsense(fmt::format("the node's answer makes no sense: {} is not as it should be", what));
}

const bj::value& member(const bj::value& value, std::string_view key, std::string_view what) {
    const bj::value* found = json::member(value, key);
    if (!found) throw odd_field(what);
    return *found;
}

std::string_view text_in(const bj::value& value, std::string_view what) {
    if (!value.is_string()) throw odd_field(what);
    return value.get_string();
}

/// What the reverted call returned: nodes give it as text or within an object.
std::optional<Bytes> revert_data_in(const bj::value& error) {
    const bj::value* data = json::member(error, "data");
    if (data && data->is_object()) data = json::member(*data, "data");
    return data && data->is_string() ? parse_hex(data->get_string()) : std::nullopt;
}

[[noreturn]] void throw_refusal(const bj::value& error, const std::string& node) {
    if (!error.is_object()) throw nonsense(node + " answers with an error that says nothing");
    throw Refusal(node, json::integer_in(error, "code").value_or(0),
                  text::printable(json::string_or(error, "message", "no reason"), longest_words),
                  revert_data_in(error));
}

/// Nothing when the text is no JSON object.
std::optional<bj::value> answer_in(std::string_view text) {
    boost::system::error_code failure;
    bj::value answer = bj::parse(text, failure);
    return failure || !answer.is_object() ? std::nullopt : std::optional(std::move(answer));
}

/// Nothing when the answer has no error.
const bj::value* error_in(const bj::value& answer) {
    const bj::value* error = json::member(answer, "error");
    return error && !error->is_null() ? error : nullptr;
}

bool is_to(const bj::value& answer, std::int64_t id) {
    const bj::value* found = json::member(answer, "id");
    if (!found || found->is_null()) return error_in(answer) != nullptr;
    return found->is_int64() && found->get_int64() == id;
}

Log log_in(const bj::value& value) {
    const auto contract =
        Address::of_node(text_in(member(value, "address", "a log's address"), "a log's address"));
    const bj::value& topics = member(value, "topics", "a log's topics");
    if (!contract || !topics.is_array() || topics.get_array().size() > most_topics)
        throw odd_field("a log in the receipt");
    Log log{*contract, {}};
    for (const bj::value& topic : topics.get_array()) log.topics.push_back(hash_in(topic, "a log's topic"));
    return log;
}

} // namespace

Refusal::Refusal(std::string node, std::int64_t number, std::string words, std::optional<Bytes> data)
    : Error(Code::chain, fmt::format("{} refuses: {} ({})", node, words, number)), number_(number),
      words_(std::move(words)), data_(std::move(data)) {}

std::optional<std::string> Refusal::revert_reason() const {
    constexpr std::int64_t reverted = 3; // of geth and others
    const bool says_so = text::lower(words_).find("revert") != std::string::npos;
    if (data_ && !data_->empty()) return abi::reason_of(*data_);
    if (number_ != reverted && !says_so) return std::nullopt;
    constexpr std::string_view lead = "execution reverted: ";
    const auto at = words_.find(lead);
    return at == std::string::npos ? std::string("without a reason") : words_.substr(at + lead.size());
}

bool Refusal::is_rate_limit() const {
    return number_ == -32005 || number_ == 429;
}

bj::value result_in(std::string_view text, std::int64_t id, const std::string& node) {
    const auto answer = answer_in(text);
    if (!answer)
        throw nonsense(fmt::format("{} speaks no JSON-RPC: its answer begins with \"{}\"", node,
                                   text::printable(text, longest_quoted)));
    if (!is_to(*answer, id))
        throw nonsense(
            fmt::format("{} answers another question than the one that was asked (id {})", node, id));
    if (const bj::value* error = error_in(*answer)) throw_refusal(*error, node);
    const bj::value* result = json::member(*answer, "result");
    if (!result) throw nonsense(node + " answers with neither a result nor an error");
    return *result;
}

bool is_refusal(std::string_view text) {
    const auto answer = answer_in(text);
    const bj::value* error = answer ? error_in(*answer) : nullptr;
    return error && error->is_object();
}

U256 quantity_in(const bj::value& value, std::string_view what) {
    const auto number = parse_quantity(text_in(value, what));
    if (!number) throw odd_field(what);
    return *number;
}

std::uint64_t u64_in(const bj::value& value, std::string_view what) {
    const auto number = as_u64(quantity_in(value, what));
    if (!number) throw odd_field(what);
    return *number;
}

Bytes bytes_in(const bj::value& value, std::string_view what) {
    auto bytes = parse_hex(text_in(value, what));
    if (!bytes) throw odd_field(what);
    return std::move(*bytes);
}

Hash hash_in(const bj::value& value, std::string_view what) {
    const auto hash = parse_hash(text_in(value, what));
    if (!hash) throw odd_field(what);
    return *hash;
}

std::optional<Receipt> receipt_in(const bj::value& value) {
    if (value.is_null()) return std::nullopt;
    const auto field = [&](std::string_view key, std::string_view what) -> const bj::value& {
        return member(value, key, what);
    };
    Receipt receipt;
    receipt.transaction = hash_in(field("transactionHash", "the receipt's hash"), "the receipt's hash");
    const U256 status = quantity_in(field("status", "the receipt's status"), "the receipt's status");
    if (status > 1) throw odd_field("the receipt's status");
    receipt.succeeded = status == 1;
    receipt.block = u64_in(field("blockNumber", "the receipt's block"), "the receipt's block");
    receipt.block_hash = hash_in(field("blockHash", "the receipt's block"), "the receipt's block");
    const bj::value& logs = field("logs", "the receipt's list of logs");
    if (!logs.is_array()) throw odd_field("the receipt's list of logs");
    for (const bj::value& log : logs.get_array()) receipt.logs.push_back(log_in(log));
    return receipt;
}

std::optional<Block> block_in(const bj::value& value) {
    if (value.is_null()) return std::nullopt;
    Block block;
    block.number = u64_in(member(value, "number", "a block's number"), "a block's number");
    block.hash = hash_in(member(value, "hash", "a block's hash"), "a block's hash");
    block.gas_limit = quantity_in(member(value, "gasLimit", "a block's gas limit"), "a block's gas limit");
    const bj::value& transactions = member(value, "transactions", "a block's list of transactions");
    if (!transactions.is_array()) throw odd_field("a block's list of transactions");
    for (const bj::value& each : transactions.get_array())
        block.transactions.push_back(hash_in(each, "a transaction in a block"));
    const bj::value* fee = json::member(value, "baseFeePerGas");
    if (fee && !fee->is_null()) block.base_fee = quantity_in(*fee, "the base fee");
    return block;
}

} // namespace blockhost::chain
