// SPDX-License-Identifier: MIT
// What nodes answer, and what is no answer.
#include "chain/evm/answer.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

std::string complaint(std::string_view text) {
    try {
        result_in(text, 7, "the node");
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == Code::chain);
        return error.message();
    }
}

Refusal refusal(std::string_view error) {
    try {
        result_in(R"({"jsonrpc":"2.0","id":7,"error":)" + std::string(error) + "}", 7, "the node");
    } catch (const Refusal& thrown) {
        return thrown;
    }
    FAIL("no refusal");
    throw;
}

const std::string hash = "0x" + std::string(64, 'a');
std::string receipt(const std::string& status, const std::string& logs) {
    return R"({"transactionHash":")" + hash + R"(","status":)" + status +
           R"(,"blockNumber":"0x10","blockHash":")" + hash + R"(","logs":)" + logs + "}";
}
std::string block(const std::string& transactions) {
    return R"({"number":"0x10","hash":")" + hash + R"(","gasLimit":"0x1c9c380","transactions":)" +
           transactions + "}";
}

} // namespace

TEST_CASE("the result of the question that was asked") {
    CHECK(result_in(R"({"jsonrpc":"2.0","id":7,"result":"0x1"})", 7, "the node") == "0x1");
    CHECK(result_in(R"({"id":7,"result":null,"error":null})", 7, "the node").is_null());
}

TEST_CASE("what is no answer is said to be so") {
    CHECK(complaint("<!DOCTYPE html>\n<html>") ==
          "the node speaks no JSON-RPC: its answer begins with \"<!DOCTYPE html>\\x0a<html>\"");
    CHECK(complaint("") == "the node speaks no JSON-RPC: its answer begins with \"\"");
    CHECK(complaint("[]").find("speaks no JSON-RPC") != std::string::npos);
    for (auto text : {R"({"id":8,"result":"0x1"})", R"({"id":"7","result":"0x1"})", R"({"result":"0x1"})"})
        CHECK(complaint(text) == "the node answers another question than the one that was asked (id 7)");
    CHECK(complaint(R"({"id":7})") == "the node answers with neither a result nor an error");
    CHECK(complaint(R"({"id":7,"error":"no"})") == "the node answers with an error that says nothing");
}

TEST_CASE("an error answers the request that it names, or the one that was asked where it names none") {
    CHECK(complaint(R"({"id":8,"error":{"code":-32000,"message":"nonce too low"}})") ==
          "the node answers another question than the one that was asked (id 7)");
    for (auto text : {R"({"id":null,"error":{"code":-32600,"message":"what?"}})",
                      R"({"error":{"code":-32600,"message":"what?"}})"})
        CHECK(complaint(text) == "the node refuses: what? (-32600)");
}

TEST_CASE("an answer with an error is told from other texts") {
    for (auto text : {R"({"id":7,"error":{"code":3}})", R"({"error":{"message":"no"}})"})
        CHECK(is_refusal(text));
    for (auto text : {"", "slow down", "[]", "{}", R"({"error":null})", R"({"error":"no"})",
                      R"({"id":7,"result":"0x1"})"})
        CHECK_FALSE(is_refusal(text));
}

TEST_CASE("refusals say why, in printable words") {
    const Refusal plain = refusal(R"({"code":-32000,"message":"nonce\ntoo low"})");
    CHECK(plain.message() == "the node refuses: nonce\\x0atoo low (-32000)");
    CHECK_FALSE(plain.revert_reason());
    CHECK_FALSE(plain.is_rate_limit());
    CHECK(refusal(R"({"code":-32005,"message":"slow down"})").is_rate_limit());
    CHECK(refusal(R"({"code":3,"message":"execution reverted: not yours"})").revert_reason() == "not yours");
    CHECK(refusal(R"({"code":3,"message":"execution reverted"})").revert_reason() == "without a reason");
    CHECK(refusal(R"({"code":3,"message":"x","data":"0xdeadbeef"})").revert_reason() ==
          "by its own error 0xdeadbeef");
    CHECK(refusal(R"({"code":3,"message":"x","data":{"data":"0xdeadbeef"}})").revert_reason() ==
          "by its own error 0xdeadbeef");
}

TEST_CASE("a receipt") {
    const std::string log =
        R"({"address":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed","topics":[")" + hash + R"("]})";
    const auto read = receipt_in(boost::json::parse(receipt(R"("0x1")", "[" + log + "]")));
    REQUIRE(read);
    CHECK(read->succeeded);
    CHECK(read->block == 16);
    REQUIRE(read->logs.size() == 1);
    CHECK(read->logs[0].topics.size() == 1);
    CHECK_FALSE(receipt_in(boost::json::parse(receipt(R"("0x0")", "[]")))->succeeded);
    CHECK_FALSE(receipt_in(nullptr));
}

TEST_CASE("what is no receipt is refused") {
    for (const std::string& text : {std::string("{}"), std::string("1"), receipt(R"("0x2")", "[]"),
                                    receipt("1", "[]"), receipt(R"("0x1")", "{}"), receipt(R"("0x1")", "[1]"),
                                    receipt(R"("0x1")", R"([{"address":"0x1","topics":[]}])")})
        CHECK_THROWS_AS(receipt_in(boost::json::parse(text)), Error);
}

TEST_CASE("a block") {
    const auto read = block_in(boost::json::parse(block(R"([")" + hash + R"("],"baseFeePerGas":"0x7")")));
    REQUIRE(read);
    CHECK(read->number == 16);
    CHECK(hex(read->hash) == hash);
    CHECK(read->gas_limit == 30'000'000);
    REQUIRE(read->transactions.size() == 1);
    CHECK(hex(read->transactions[0]) == hash);
    CHECK(read->base_fee == U256(7));
    CHECK_FALSE(block_in(boost::json::parse(block("[]")))->base_fee);
    CHECK_FALSE(block_in(nullptr));
}

TEST_CASE("what is no block is refused") {
    for (const std::string& text : {std::string("{}"), std::string("1"), block("{}"), block("[{}]"),
                                    block("null"), block(R"([],"baseFeePerGas":7)")})
        CHECK_THROWS_AS(block_in(boost::json::parse(text)), Error);
}
