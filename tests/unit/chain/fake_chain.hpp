// SPDX-License-Identifier: MIT
#pragma once
// A chain of a few numbers behind a Node: blocks with the transactions that a test puts there, and a knob for
// each question.

#include "base/interrupt.hpp"
#include "base/progress.hpp"
#include "chain/evm/keccak.hpp"
#include "chain/evm/node.hpp"
#include "chain/ledger.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>

namespace blockhost::chain {

/// The account's transactions alone, of nonces from 0 on.
struct FakeChain {
    struct Mined {
        std::uint64_t block = 0;
        Hash hash{};
    };
    std::uint64_t head = 0;
    std::vector<Mined> mined;                  ///< by nonce
    std::vector<Hash> waiting;                 ///< what eth_getTransactionByHash knows besides
    bool knows_hashes = true, reverts = false; ///< whether it has an index of hashes
    /// Answers instead, by method; what it returns is the rest of the answer behind the id.
    std::map<std::string, std::function<std::string(const boost::json::array&)>> instead;
    std::vector<std::string> asked;
    std::vector<Bytes> sent;

    static Hash hash_of_block(std::uint64_t number) { return keccak256(quantity(number)); }
    static std::string result(const std::string& value) { return "\"result\":" + value; }
    static std::string quoted(const std::string& text) { return result("\"" + text + "\""); }
    static std::string error(const std::string& words) {
        return R"("error":{"code":-32000,"message":")" + words + R"("})";
    }

    std::string block(const std::string& tag) const {
        const std::uint64_t number = tag == "latest" ? head : as_u64(*parse_quantity(tag)).value();
        if (number > head) return result("null");
        std::string hashes = "\"" + hex(keccak256("somebody's " + quantity(number))) + "\"";
        for (const Mined& each : mined)
            if (each.block == number) hashes += ",\"" + hex(each.hash) + "\"";
        return result(R"({"number":")" + quantity(number) + R"(","hash":")" + hex(hash_of_block(number)) +
                      R"(","gasLimit":"0x1c9c380","transactions":[)" + hashes + "]}");
    }
    std::string count(const std::string& tag) const {
        const std::uint64_t number =
            tag == "latest" || tag == "pending" ? head : as_u64(*parse_quantity(tag)).value();
        std::uint64_t count = 0;
        for (const Mined& each : mined) count += each.block <= number ? 1 : 0;
        return quoted(quantity(count));
    }
    std::string receipt(const std::string& hash) const {
        for (const Mined& each : mined)
            if (knows_hashes && hex(each.hash) == hash && each.block <= head)
                return result(R"({"transactionHash":")" + hash + R"(","status":")" +
                              (reverts ? "0x0" : "0x1") + R"(","blockNumber":")" + quantity(each.block) +
                              R"(","blockHash":")" + hex(hash_of_block(each.block)) + R"(","logs":[]})");
        return result("null");
    }
    std::string by_hash(const std::string& hash) const {
        for (const Hash& each : waiting)
            if (hex(each) == hash) return result("{}");
        return receipt(hash);
    }
    std::string send(const std::string& raw) {
        sent.push_back(*parse_hex(raw));
        return quoted(hex(keccak256(sent.back())));
    }

    std::string answer(const std::string& method, const boost::json::array& parameters) {
        asked.push_back(method);
        if (const auto other = instead.find(method); other != instead.end()) return other->second(parameters);
        const auto text = [&](std::size_t at) { return std::string(parameters.at(at).as_string()); };
        if (method == "eth_blockNumber") return quoted(quantity(head));
        if (method == "eth_getTransactionCount") return count(text(1));
        if (method == "eth_getBlockByNumber") return block(text(0));
        if (method == "eth_getTransactionReceipt") return receipt(text(0));
        if (method == "eth_getTransactionByHash") return by_hash(text(0));
        if (method == "eth_sendRawTransaction") return send(text(0));
        return error("no such method");
    }
    Node node() {
        return Node({.name = "the node",
                     .post =
                         [this](const std::string& body) {
                             const auto request = boost::json::parse(body).as_object();
                             return R"({"id":)" + boost::json::serialize(request.at("id")) + "," +
                                    answer(std::string(request.at("method").as_string()),
                                           request.at("params").as_array()) +
                                    "}";
                         },
                     .pause = [](std::chrono::milliseconds) {}});
    }
};

inline Address test_address(char digit) {
    return *Address::of_node("0x" + std::string(40, digit));
}

/// Signed by account 9…9 for `recipient`.
inline MintEntry test_entry(char recipient, std::uint64_t nonce) {
    MintEntry made{.identity = {31337, test_address('1'), test_address(recipient), Bytes{0x01, 0x02}},
                   .account = test_address('9'),
                   .nonce = nonce,
                   .most = 1000,
                   .hash = {},
                   .raw = Bytes{0x02, static_cast<std::uint8_t>(recipient), static_cast<std::uint8_t>(nonce)},
                   .signed_at = *parse_instant("2030-01-02T03:04:05.678901+00:00")};
    made.hash = keccak256(made.raw);
    return made;
}

} // namespace blockhost::chain
