// SPDX-License-Identifier: MIT
// Questions to a node, and what refusals to take a transaction mean.
#include "chain/evm/node.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;
namespace bj = boost::json;

namespace {

/// Answers every question with the next of `answers`, and keeps what it was asked.
struct Play {
    std::vector<std::string> answers;
    std::vector<bj::object> asked = {};
    int pauses = 0;

    Node node() {
        return Node({.name = "the node",
                     .post =
                         [this](const std::string& body) {
                             asked.push_back(bj::parse(body).as_object());
                             const std::string answer =
                                 answers.at(std::min(asked.size(), answers.size()) - 1);
                             return R"({"id":)" + bj::serialize(asked.back().at("id")) + "," + answer + "}";
                         },
                     .pause = [this](std::chrono::milliseconds) { ++pauses; }});
    }
};

Refusal saying(const std::string& words) {
    return Refusal("the node", -32000, words, std::nullopt);
}

} // namespace

TEST_CASE("a question names its method and parameters") {
    Play play{{R"("result":"0x2a")"}};
    CHECK(play.node().nonce(Address(), "pending") == 42);
    CHECK(play.asked[0].at("jsonrpc") == "2.0");
    CHECK(play.asked[0].at("method") == "eth_getTransactionCount");
    CHECK(bj::serialize(play.asked[0].at("params")) ==
          R"(["0x0000000000000000000000000000000000000000","pending"])");
}

TEST_CASE("a node that is asked too often is asked again later, not forever") {
    const std::string busy = R"("error":{"code":-32005,"message":"too many requests"})";
    Play once{{busy, R"("result":"0x1")"}};
    CHECK(once.node().chain_id() == 1);
    CHECK(once.pauses == 1);
    Play always{{busy}};
    CHECK_THROWS_AS(always.node().chain_id(), Refusal);
    CHECK(always.asked.size() == 5);
}

TEST_CASE("a node without an opinion on priority fees") {
    Play play{{R"("error":{"code":-32601,"message":"no such method"})"}};
    CHECK_FALSE(play.node().priority_fee());
}

TEST_CASE("another transaction's receipt is none") {
    Play play{{R"("result":{"transactionHash":"0x)" + std::string(64, 'b') +
               R"(","status":"0x1","blockNumber":"0x1","blockHash":"0x)" + std::string(64, 'c') +
               R"(","logs":[]})"}};
    CHECK_THROWS_WITH(play.node().receipt(Hash{}), Catch::Contains("another transaction's receipt"));
}

TEST_CASE("refusals in the words of several nodes") {
    const auto meaning = [](const std::string& words) { return meaning_of(saying(words)); };
    for (auto words :
         {"already known", "transaction already imported", "AlreadyKnown", "known transaction: 0x1"})
        CHECK(meaning(words) == SendRefusal::known);
    for (auto words : {"nonce too low", "nonce too low: next nonce 5, tx nonce 4", "OldNonce"})
        CHECK(meaning(words) == SendRefusal::nonce_used);
    CHECK(meaning("replacement transaction underpriced") == SendRefusal::outbid);
    for (auto words : {"transaction underpriced", "max fee per gas less than block base fee", "FeeTooLow"})
        CHECK(meaning(words) == SendRefusal::underpriced);
    CHECK(meaning("Insufficient funds for gas * price + value") == SendRefusal::no_funds);
    CHECK(meaning("intrinsic gas too low") == SendRefusal::other);
}
